//! Buckets, incidents and strips by range.

use std::collections::HashMap;

use super::*;
use crate::model::Status::{Down, Up};

fn range(from: i64, to: i64) -> Range {
    Range {
        from: BEGIN + from,
        to: BEGIN + to,
    }
}

#[test]
fn a_range_has_every_bucket_that_it_overlaps() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(700);
    let reader = test.reader();
    let begins = |from, to| -> Vec<i64> {
        let buckets = reader.buckets("api", range(from, to), Step::FiveMinutes).unwrap();
        buckets.iter().map(|bucket| bucket.from - BEGIN).collect()
    };
    assert_eq!(begins(0, 300), [0]);
    assert_eq!(begins(299, 301), [0, 300]);
    assert_eq!(begins(-600, 0), [-600, -300]);
    assert_eq!(begins(0, 100_000), [0, 300, 600], "the future has no buckets");
    assert_eq!(begins(300, 300), [0; 0]);
    let last = reader.buckets("api", range(600, 900), Step::FiveMinutes).unwrap()[0];
    assert_eq!(
        (last.totals.seconds(PastStatus::Up), last.totals.no_data_millis),
        (100.0, 0)
    );
    let before = reader.buckets("api", range(-300, 0), Step::FiveMinutes).unwrap()[0];
    assert_eq!(
        (before.totals.uptime(), before.totals.no_data_millis),
        (None, 300_000)
    );
    assert!(reader.buckets("web", range(0, 300), Step::Hour).is_none());
}

#[test]
fn incidents_are_those_of_the_range_newest_first() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.change(100, 100, Down);
    test.change(200, 200, Up);
    test.change(500, 500, Down);
    test.run_until(600);
    let reader = test.reader();
    let found = |from, to| -> Vec<(f64, Option<f64>)> {
        let incidents = reader.incidents("api", range(from, to)).unwrap();
        let relative = |at: f64| at - BEGIN as f64;
        incidents
            .iter()
            .map(|incident| (relative(incident.from), incident.until.map(relative)))
            .collect()
    };
    assert_eq!(found(0, 1000), [(500.0, None), (100.0, Some(200.0))]);
    assert_eq!(found(0, 300), [(100.0, Some(200.0))]);
    assert_eq!(found(150, 160), [(100.0, Some(200.0))]);
    assert_eq!(found(200, 400), []);
    assert_eq!(found(900, 1000), [(500.0, None)], "it has not ended");
    let incident = &reader.incidents("api", range(0, 300)).unwrap()[0];
    assert_eq!(incident.reason, Some(Reason::Refused));
    assert_eq!(incident.check.as_ref().map(CheckName::as_str), Some("http"));
}

#[test]
fn strips_end_with_the_present_and_are_computed_rarely() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.change(1801, 1801, Down);
    test.run_until(2200);
    let reader = test.reader();
    let past = Arc::clone(&reader.past()[&ServiceKey::new("api")]);
    assert_eq!((past.day.marks.len(), past.quarter.marks.len()), (48, 90));
    assert_eq!(
        past.day.marks[45..],
        [None, Some(PastStatus::Up), Some(PastStatus::Down)]
    );
    assert_eq!(past.quarter.marks[88..], [None, Some(PastStatus::Down)]);
    assert_eq!(past.day.totals.seconds(PastStatus::Down), 399.0);
    assert_eq!(past.day.totals.no_data_millis, 46 * 1_800_000);
    test.clock.set(2209);
    assert!(Arc::ptr_eq(&past, &reader.past()[&ServiceKey::new("api")]));
    test.clock.set(2210);
    assert!(!Arc::ptr_eq(&past, &reader.past()[&ServiceKey::new("api")]));
}

/// If all rows of the overview changed at once, every open page would be requested again.
#[test]
fn strips_move_one_after_the_other() {
    let mut test = Test::new();
    test.keys = (0..200).map(|number| format!("service-{number}")).collect();
    test.observe(&[], &[]);
    let mut before = HashMap::new();
    for second in (10..=2110).step_by(10) {
        test.clock.set(second);
        test.observe(&[], &[]);
        if second < 1780 {
            continue;
        }
        let past = test.reader().past();
        let strips = past
            .iter()
            .map(|(key, past)| (key.clone(), past.day.marks.clone()));
        let strips: HashMap<_, _> = strips.collect();
        let moved = strips
            .iter()
            .filter(|(key, marks)| before.get(*key) != Some(*marks));
        let count = moved.count();
        assert!(second == 1780 || count < 30, "{count} strips moved at {second}");
        for past in past.values() {
            assert_eq!(past.day.totals.seconds(PastStatus::Up), second as f64);
        }
        before = strips;
    }
    let up = Some(PastStatus::Up);
    assert!(before.values().all(|marks| marks[46..] == [up, up]), "{before:?}");
}

/// Somebody who starts the exporter for the first time sees a bar after seconds, not after half a part.
#[test]
fn the_last_bar_shows_what_is_known() {
    let mut test = Test::new();
    test.keys = vec!["service".to_owned()];
    for second in [0, 10, 20] {
        test.clock.set(second);
        test.observe(&[], &[]);
    }
    let past = test.reader().past();
    let past = past.values().next().expect("a service");
    for strip in [&past.day, &past.quarter] {
        let (last, earlier) = strip.marks.split_last().expect("marks");
        assert_eq!(*last, Some(PastStatus::Up));
        assert!(earlier.iter().all(Option::is_none), "{earlier:?}");
    }
}
