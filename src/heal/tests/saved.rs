//! Tests of the history file.

use std::fs;
use std::time::Duration;

use super::{at, key, settings};
use crate::config::heal::HealMode;
use crate::heal::history::{History, Pause};
use crate::heal::policy::Totals;
use crate::heal::record::{HealEvent, HealRecord, MAX_DECISIONS, MAX_EVIDENCE};
use crate::heal::{HistoryFile, TimeAnchor, decode, encode};
use crate::model::{CheckName, Moment, Reason, ServiceKey};

const HOUR: Duration = Duration::from_secs(3600);

/// An anchor of a machine that booted `hours` before moment zero.
fn anchor(boot_id: &str, hours: i64) -> TimeAnchor {
    let nanos = hours * 3600 * 1_000_000_000;
    TimeAnchor::new(boot_id, nanos, nanos, Moment::default())
}

fn record(text: &str) -> HealRecord {
    HealRecord {
        at: at(9),
        event: HealEvent::Refused,
        detail: "backoff".to_owned(),
        cause: Some((CheckName::new("http".to_owned()), 2, Reason::Refused)),
        evidence: text.to_owned(),
    }
}

fn full() -> History {
    let mut history = History::default();
    let service = history.service(&key("api"));
    service.begin(&settings(""), 0.3, at(10));
    service.end(at(12));
    service.record_dry_run(&settings(""), 0.3, at(13));
    service.record(record("connecting: refused"));
    service.unhelpful = 1;
    service.pause = Some(Pause {
        since: at(5),
        until: Some(at(5) + HOUR),
        by: "root".to_owned(),
        comment: "upgrade".to_owned(),
    });
    history.service(&key("web")).begin(&settings(""), 0.3, at(14));
    history.pause = history.services[&key("api")].pause.clone();
    history.last_storm = Some(at(3));
    history.lost_until = Some(at(99));
    history
}

#[test]
fn a_history_survives_encoding() {
    let anchor = anchor("a", 5);
    let text = encode(&full(), &anchor, at(20)).unwrap();
    assert_eq!(decode(&text, &anchor, at(20)).unwrap(), full());
}

#[test]
fn another_process_reads_the_same_times() {
    let text = encode(&full(), &anchor("a", 5), at(20)).unwrap();
    // It starts an hour later, so its moments are smaller.
    let read = decode(&text, &anchor("a", 6), at(0)).unwrap();
    let attempt = read.services[&key("api")].attempts[0];
    assert_eq!(at(0).since(attempt.at), HOUR - Duration::from_secs(10));
    assert_eq!(read.spent(true, at(0)), 2);
    assert_eq!(read.spent(true, at(11)), 1);
}

#[test]
fn foreign_and_broken_content_is_rejected() {
    let anchor = anchor("a", 5);
    let text = String::from_utf8(encode(&full(), &anchor, at(20)).unwrap()).unwrap();
    for wrong in [
        String::new(),
        "{}".to_owned(),
        text[..text.len() / 2].to_owned(),
        text.replace("heal history", "state"),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("\"refused\"", "\"refussed\""),
    ] {
        assert!(decode(wrong.as_bytes(), &anchor, at(20)).is_err(), "{wrong}");
    }
}

#[test]
fn an_action_that_was_interrupted_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let anchor = anchor("a", 5);
    let (mut file, mut history, warnings) = HistoryFile::open(path.clone(), &anchor, at(0));
    assert_eq!((history.clone(), warnings), (History::default(), Vec::new()));
    history.service(&key("api")).begin(&settings(""), 0.5, at(1));
    file.write(&history, &anchor, at(1)).unwrap();
    drop(file);
    let (_file, history, warnings) = HistoryFile::open(path, &anchor, at(50));
    assert_eq!(warnings, [""; 0]);
    let service = &history.services[&key("api")];
    assert_eq!(service.spent(true, at(50)), 1);
    assert_eq!(service.counts_from, Some(at(50)));
    assert!(!service.is_acting() && service.is_verifying(&settings(""), at(51)));
    assert_eq!(service.records.back().unwrap().event, HealEvent::Interrupted);
    let last = service.last_action.unwrap();
    assert_eq!((last.began, last.event), (at(1), HealEvent::Interrupted));
}

#[test]
fn a_broken_file_counts_as_a_spent_budget_for_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    fs::write(path.join("heal.json"), "{").unwrap();
    let (mut file, history, warnings) = HistoryFile::open(path.clone(), &anchor("a", 5), at(0));
    assert!(
        warnings[0].contains("nothing is healed for an hour"),
        "{warnings:?}"
    );
    assert!(fs::exists(path.join("heal.json.broken-1")).unwrap());
    let can_save = |history: &History, now| Totals::new(history, HealMode::Act, 20, now).can_save;
    assert!(!can_save(&history, at(3599)) && can_save(&history, at(3600)));
    file.write(&history, &anchor("a", 5), at(1)).unwrap();
    drop(file);
    let (_file, history, _) = HistoryFile::open(path, &anchor("a", 5), at(2));
    assert!(!can_save(&history, at(3599)), "a restart does not help");
}

#[test]
fn two_exporters_do_not_write_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let anchor = anchor("a", 5);
    let (mut first, history, _) = HistoryFile::open(dir.path().to_owned(), &anchor, at(0));
    let (mut second, _, warnings) = HistoryFile::open(dir.path().to_owned(), &anchor, at(0));
    assert!(
        warnings[0].starts_with("nothing is healed until the exporter is restarted: "),
        "{warnings:?}"
    );
    assert!(second.write(&history, &anchor, at(1)).is_err());
    first.write(&history, &anchor, at(1)).unwrap();
    drop(first);
    assert!(
        second.write(&history, &anchor, at(2)).is_err(),
        "what it read may be old"
    );
}

#[test]
fn records_are_bounded() {
    let mut history = History::default();
    let service = history.service(&key("api"));
    for number in 0..200 {
        service.record(record(&format!("{number}{}", "é".repeat(400))));
    }
    assert_eq!(service.records.len(), MAX_DECISIONS);
    assert!(
        service.records[0].evidence.starts_with("150é") && service.records[0].evidence.len() <= MAX_EVIDENCE
    );
}

#[test]
fn a_removed_service_stays_while_a_budget_depends_on_it() {
    let mut history = full();
    history.clean(|_| false, |_| false, at(20));
    assert_eq!(history.services.len(), 2);
    history.service(&key("web")).end(at(21));
    let is_api = |key: &ServiceKey| key.as_str() == "api";
    history.clean(is_api, is_api, at(3614));
    assert_eq!(history.services.keys().collect::<Vec<_>>(), [&key("api")]);
}

#[test]
fn switching_healing_off_and_on_does_not_resume_it() {
    let mut history = full();
    history.service(&key("api")).unhelpful = 2;
    history.service(&key("api")).pause = None;
    let later = at(9 * 3600);
    history.clean(|_| false, |key| key.as_str() == "api", later);
    assert!(history.services[&key("api")].has_given_up());
    history.clean(|_| false, |_| false, later);
    assert!(!history.services.contains_key(&key("api")), "it was removed");
}

#[test]
fn a_unit_of_two_services_has_one_budget() {
    let settings = settings("");
    let mut history = History::default();
    history.service(&key("api")).begin(&settings, 0.3, at(10));
    history.service(&key("web")).begin(&settings, 0.3, at(20));
    history
        .service(&key("other"))
        .begin(&crate::heal::tests::settings("unit: other"), 0.3, at(20));
    assert_eq!(history.spent_on_target(&settings, at(30)), 2);
    assert_eq!(history.spent_on_target(&settings, at(3615)), 1);
    let anchor = anchor("a", 5);
    let text = encode(&history, &anchor, at(30)).unwrap();
    let read = decode(&text, &anchor, at(30)).unwrap();
    assert_eq!(read.spent_on_target(&settings, at(30)), 2, "after a restart");
}

/// A clock that is years ahead until it is synchronized would make everything look old.
#[test]
fn after_a_reboot_with_a_wrong_clock_budgets_and_pauses_continue() {
    let text = encode(&full(), &anchor("a", 5), at(20)).unwrap();
    let minute = 60 * 1_000_000_000;
    for wall in [0, 1_000_000 * minute] {
        let rebooted = TimeAnchor::new("b", minute, wall, at(0));
        let read = decode(&text, &rebooted, at(0)).unwrap();
        assert_eq!(read.spent(true, at(0)), 2);
        assert_eq!(read.spent(true, at(3600)), 0, "an hour after the boot");
        let pause = read.pause.unwrap();
        assert!(pause.holds(at(3500)) && !pause.holds(at(3600)));
    }
}

#[test]
fn the_pauses_of_a_broken_file_stay() {
    let text = String::from_utf8(encode(&full(), &anchor("a", 5), at(20)).unwrap()).unwrap();
    for wrong in [
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("\"refused\"", "\"refussed\""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("heal.json"), wrong).unwrap();
        let (_file, history, warnings) = HistoryFile::open(dir.path().to_owned(), &anchor("a", 5), at(30));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(history.pause, full().pause);
        assert_eq!(
            history.services[&key("api")].pause,
            full().services[&key("api")].pause
        );
        assert!(history.lost_until.is_some());
    }
}

#[test]
fn if_the_pauses_are_lost_all_services_are_paused() {
    let text = encode(&full(), &anchor("a", 5), at(20)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("heal.json"), &text[..text.len() / 2]).unwrap();
    let (_file, history, warnings) = HistoryFile::open(dir.path().to_owned(), &anchor("a", 5), at(30));
    assert!(
        warnings[1].contains("run `upkeep_exporter heal resume`"),
        "{warnings:?}"
    );
    assert!(history.pause.unwrap().holds(at(1_000_000)));
}
