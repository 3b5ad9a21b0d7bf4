//! Completeness and form of the advice.

use std::collections::HashSet;

use super::*;
use crate::model::Shortage;

/// A reader of a page or a notification reads a few sentences.
const MAX_LENGTH: usize = 280;

#[test]
fn every_problem_of_every_kind_has_advice() {
    for kind in CheckKind::ALL {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let text = advice(kind, *reason);
            assert!(
                seen.insert(text),
                "{kind}: two reasons with the same advice: {text}"
            );
            assert!(
                (40..=MAX_LENGTH).contains(&text.len()),
                "{kind}, {reason}: {} bytes",
                text.len()
            );
            assert!(text.ends_with('.'), "{kind}, {reason}: {text}");
            assert!(
                text.starts_with(|c: char| c.is_uppercase()),
                "{kind}, {reason}: {text}"
            );
            assert!(!text.contains("  "), "{kind}, {reason}: {text}");
            assert!(!text.chars().any(char::is_control), "{kind}, {reason}: {text}");
        }
    }
}

#[test]
fn every_shortage_has_different_advice() {
    let mut seen = HashSet::new();
    for shortage in Shortage::ALL {
        let problem = Problem::from_shortage(*shortage, "text");
        let text = advice_on(CheckKind::Http, &problem);
        assert!(seen.insert(text), "{shortage}: {text}");
        assert!(
            (40..=MAX_LENGTH).contains(&text.len()),
            "{shortage}: {} bytes",
            text.len()
        );
        assert!(
            text.contains("the state of the target is unknown"),
            "{shortage}: {text}"
        );
    }
    let other = Problem::new(Reason::Refused, "text");
    assert_eq!(
        advice_on(CheckKind::Http, &other),
        advice(CheckKind::Http, Reason::Refused)
    );
}

#[test]
fn advice_depends_on_the_kind() {
    let kinds = [
        CheckKind::Systemd,
        CheckKind::Process,
        CheckKind::Docker,
        CheckKind::S3,
    ];
    let texts: HashSet<_> = kinds.map(|kind| advice(kind, Reason::Missing)).into();
    assert_eq!(texts.len(), kinds.len());
}

/// What to do is a command, a setting, a file or a page, so that the reader knows where to begin.
#[test]
fn all_advice_names_a_command_or_a_place() {
    let mut vague = Vec::new();
    for kind in CheckKind::ALL {
        for reason in Reason::ALL {
            let text = advice(kind, *reason);
            if !["`", "=", ".conf", ".md", "/models"]
                .iter()
                .any(|place| text.contains(place))
            {
                vague.push(format!("{kind}, {reason}: {text}"));
            }
            assert_eq!(text.matches('`').count() % 2, 0, "{kind}, {reason}: {text}");
        }
    }
    assert!(vague.is_empty(), "{}", vague.join("\n"));
}
