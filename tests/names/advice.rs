//! docs/ADVICE.md: complete, and its commands exist.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use upkeep_exporter::model::{CheckKind, Reason};

use super::root;

/// The sections of the document with their rows: the kinds, and the advice.
fn sections() -> Vec<(String, Vec<(String, String)>)> {
    let text = fs::read_to_string(root().join("docs/ADVICE.md")).unwrap();
    let sections = text.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (title, rest) = section.split_once('\n').unwrap();
            let rows = rest.lines().filter_map(|line| {
                let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
                let (first, advice) = cells.split_once(" | ")?;
                first
                    .starts_with('`')
                    .then(|| (first.to_owned(), advice.to_owned()))
            });
            (title.to_owned(), rows.collect())
        })
        .collect()
}

/// The texts between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_has_every_reason_of_every_kind() {
    let sections = sections();
    let kinds: Vec<&str> = CheckKind::ALL.iter().map(|kind| kind.as_str()).collect();
    for reason in Reason::ALL {
        let section = sections.iter().find(|(title, _)| title == reason.as_str());
        let (_, rows) = section.unwrap_or_else(|| panic!("no section {reason}"));
        let mut found: Vec<&str> = rows.iter().flat_map(|(first, _)| spans(first)).collect();
        let mut expected = kinds.clone();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{reason}");
    }
}

/// Alerts link to the sections of reasons.
#[test]
fn alerts_link_to_sections_that_exist() {
    let prefix = "https://github.com/upkeep-exporter/upkeep_exporter/blob/main/docs/ADVICE.md#";
    let mut links = 0;
    for entry in fs::read_dir(root().join("rules")).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        for (_, rest) in text
            .match_indices(prefix)
            .map(|(at, _)| text.split_at(at + prefix.len()))
        {
            let template = rest.lines().next().unwrap();
            assert!(
                template.starts_with("{{") && template.ends_with("label \"reason\" }}"),
                "{template}"
            );
            links += 1;
        }
    }
    assert!(links >= 8, "{links} links");
}

#[test]
fn every_command_exists() {
    let commands: BTreeSet<String> = sections()
        .iter()
        .flat_map(|(_, rows)| rows)
        .flat_map(|(_, advice)| spans(advice))
        .map(|command| command.split(' ').next().unwrap().to_owned())
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    let missing: Vec<&String> = commands.iter().filter(|command| !exists(command)).collect();
    assert!(missing.is_empty(), "no such commands: {missing:?}");
}

fn exists(command: &str) -> bool {
    match command {
        "upkeep_exporter" => true,
        // The tests of Python environments install them with pip, and run the commands.
        "uv" | "poetry" => true,
        // podman has the same commands.
        "docker" => exists("podman"),
        path if path.contains('/') => root().join(path).is_file(),
        name => Command::new("sh")
            .args(["-c", "PATH=$PATH:/usr/sbin:/sbin; command -v \"$0\"", name])
            .output()
            .unwrap()
            .status
            .success(),
    }
}
