//! From observations to buckets.

use super::*;
use crate::model::Status::{Degraded, Down, Unknown, Up};

#[test]
fn each_second_counts_as_one_status() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.change(100, 100, Down);
    test.change(160, 160, Degraded);
    test.change(190, 190, Unknown);
    test.change(200, 200, Up);
    test.run_until(300);
    assert_eq!(test.seconds(0, 300), ([200, 30, 60, 10, 0], 0));
}

#[test]
fn a_change_counts_from_its_since_time() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    // Confirmed 65 seconds later, in another bucket.
    test.change(320, 255, Down);
    test.run_until(350);
    assert_eq!(test.seconds(0, 300).0, [255, 0, 45, 0, 0]);
    assert_eq!(test.seconds(300, 600).0, [0, 0, 50, 0, 0]);
    let incident = &test
        .reader()
        .incidents(
            "api",
            Range {
                from: 0,
                to: i64::MAX,
            },
        )
        .unwrap()[0];
    assert_eq!((incident.from, incident.until), ((BEGIN + 255) as f64, None));
}

#[test]
fn a_change_does_not_reach_before_the_previous_one() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.change(100, 90, Degraded);
    test.change(110, 20, Down);
    test.run_until(300);
    assert_eq!(
        test.seconds(0, 300).0,
        [90, 0, 210, 0, 0],
        "the degraded time was down"
    );
    let all = Range {
        from: 0,
        to: i64::MAX,
    };
    let incidents = test.reader().incidents("api", all).unwrap();
    assert_eq!(
        incidents.len(),
        1,
        "no incident ends before it begins: {incidents:?}"
    );
    assert_eq!(
        (incidents[0].status, incidents[0].from),
        (Down, (BEGIN + 90) as f64)
    );
}

#[test]
fn several_changes_in_a_second_all_count() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(99);
    test.clock.set(110);
    test.observe(&[(100, Down), (104, Up), (109, Degraded)], &[]);
    test.run_until(300);
    assert_eq!(test.seconds(0, 300).0, [105, 191, 4, 0, 0]);
}

#[test]
fn maintenance_counts_as_nothing_else() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(100);
    test.maintenance = window(101, 160);
    test.change(130, 120, Down);
    test.run_until(160);
    test.maintenance = None;
    test.run_until(200);
    test.change(220, 219, Up);
    test.run_until(300);
    // The window began at 101 and ended at 160, and the change at 120 changed none of it.
    assert_eq!(test.seconds(0, 300).0, [182, 0, 59, 0, 59]);
    // The outage counts from the end of the window on.
    assert_eq!(
        incidents(&test),
        [(160, Some(219), false), (120, Some(160), true)]
    );
}

/// The incidents: their begin and end in seconds, and whether they are in maintenance.
fn incidents(test: &Test) -> Vec<(i64, Option<i64>, bool)> {
    let all = Range {
        from: 0,
        to: i64::MAX,
    };
    let second = |at: f64| at as i64 - BEGIN;
    let found = test.reader().incidents("api", all).unwrap();
    found
        .iter()
        .map(|incident| {
            (
                second(incident.from),
                incident.until.map(second),
                incident.in_maintenance,
            )
        })
        .collect()
}

#[test]
fn maintenance_divides_an_outage() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.change(50, 40, Down);
    test.run_until(100);
    test.maintenance = window(101, 200);
    test.run_until(200);
    test.maintenance = None;
    test.run_until(250);
    test.change(260, 255, Up);
    let divided = [
        (200, Some(255), false),
        (101, Some(200), true),
        (40, Some(101), false),
    ];
    assert_eq!(incidents(&test), divided);
    // Without an outage, maintenance is no incident.
    test.maintenance = window(300, 320);
    test.run_until(320);
    test.maintenance = None;
    test.run_until(330);
    assert_eq!(incidents(&test), divided);
}

#[test]
fn an_outage_before_a_window_is_not_in_maintenance() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(100);
    test.maintenance = window(101, 200);
    test.run_until(105);
    // Down since before the window, which is confirmed in it.
    test.change(110, 90, Down);
    test.run_until(120);
    assert_eq!(incidents(&test), [(101, None, true), (90, Some(101), false)]);
}

/// The exporter did not run when the window ended. The time until the next observation has no data.
#[test]
fn an_outage_continues_after_a_window_that_ended_unseen() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(100);
    test.maintenance = window(101, 150);
    test.change(120, 120, Down);
    test.run_until(130);
    test.maintenance = None;
    test.clock.set(190);
    test.observe(&[], &[]);
    test.run_until(200);
    assert_eq!(incidents(&test), [(190, None, false), (120, Some(190), true)]);
}

#[test]
fn the_end_of_a_window_is_exact_even_if_it_is_noticed_late() {
    let mut test = Test::new();
    test.maintenance = window(0, 20);
    test.observe(&[], &[]);
    test.run_until(15);
    test.maintenance = None;
    test.clock.set(29);
    test.observe(&[], &[]);
    test.run_until(40);
    assert_eq!(test.seconds(0, 300).0, [20, 0, 0, 0, 20]);
}

#[test]
fn a_change_before_a_window_counts_outside_of_it_only() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(50);
    test.maintenance = window(51, 70);
    test.run_until(70);
    test.maintenance = None;
    // Down since before the window, which is noticed after it.
    test.change(90, 40, Down);
    test.run_until(100);
    assert_eq!(test.seconds(0, 300).0, [40, 0, 41, 0, 19]);
}

#[test]
fn a_suspended_machine_and_a_stopped_process_have_no_data() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(100);
    test.clock.set(200);
    test.observe(&[(150, Down)], &[]);
    test.run_until(300);
    assert_eq!(test.seconds(0, 300), ([100, 0, 100, 0, 0], 100));
    // A short pause is no gap.
    test.clock.set(310);
    test.observe(&[], &[]);
    assert_eq!(test.seconds(300, 600), ([0, 0, 10, 0, 0], 0));
}

#[test]
fn a_service_without_data_is_not_down() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(100);
    test.keys = vec!["other".to_owned()];
    test.run_until(300);
    assert_eq!(test.seconds(0, 300), ([100, 0, 0, 0, 0], 200));
    test.keys.push("api".to_owned());
    test.run_until(400);
    assert_eq!(
        test.seconds(300, 600),
        ([99, 0, 0, 0, 0], 1),
        "it is known from its second observation on"
    );
}

#[test]
fn a_clock_that_is_set_forward_leaves_a_gap_of_the_step() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(1000);
    test.clock.step(3600);
    test.run_until(2000);
    let (seconds, no_data) = test.seconds(0, 86_400);
    assert_eq!(seconds, [2000, 0, 0, 0, 0]);
    assert_eq!(no_data, 3600);
}

#[test]
fn a_clock_that_is_set_back_creates_no_time() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(4000);
    test.clock.step(-3600);
    // A change that reaches back before the step changes nothing before it.
    test.change(4010, 3990, Down);
    test.run_until(8000);
    let (seconds, no_data) = test.seconds(0, 86_400);
    // The hour that comes twice is recorded once.
    assert_eq!(seconds.iter().sum::<i64>() + no_data, 8000 - 3600, "{seconds:?}");
    assert!(no_data <= 300, "{no_data}");
    let buckets = test.reader().buckets(
        "api",
        Range {
            from: BEGIN,
            to: BEGIN + 86_400,
        },
        Step::FiveMinutes,
    );
    for bucket in buckets.unwrap() {
        assert!(bucket.totals.millis.iter().sum::<u64>() <= 300_000);
    }
}

#[test]
fn a_clock_that_was_years_ahead_displaces_nothing() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(1000);
    test.clock.step(10 * 365 * 86_400);
    test.run_until(1300);
    test.clock.step(-10 * 365 * 86_400);
    test.run_until(3000);
    let (seconds, no_data) = test.seconds(0, 86_400);
    assert_eq!((seconds[0], no_data), (2700, 300));
}

#[test]
fn a_clock_that_was_not_set_yet_displaces_nothing() {
    let mut test = Test::new();
    for second in (0..=26 * 3600).step_by(10) {
        test.clock.set(second);
        test.observe(&[], &[7]);
    }
    let last = |test: &Test| test.seconds(26 * 3600 - 300, 26 * 3600);
    assert_eq!(last(&test), ([300, 0, 0, 0, 0], 0));
    test.clock.step(-BEGIN);
    test.run_until(26 * 3600 + 700);
    test.clock.step(BEGIN);
    test.run_until(26 * 3600 + 710);
    assert_eq!(last(&test), ([300, 0, 0, 0, 0], 0));
}

#[test]
fn response_times_are_averaged_over_runs() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    for (second, responses) in [(1, &[10, 30][..]), (2, &[]), (3, &[200]), (301, &[7])] {
        test.run_until(second - 1);
        test.clock.set(second);
        test.observe(&[], responses);
    }
    let first = test.totals(BEGIN, BEGIN + 300, Step::FiveMinutes);
    assert_eq!(
        (first.response_average(), first.response_maximum()),
        (Some(0.08), Some(0.2))
    );
    let day = test.totals(BEGIN, BEGIN + 300, Step::Day);
    assert_eq!((day.responses, day.response_max), (4, 0.2));
}

#[test]
fn only_the_latest_changes_and_buckets_are_kept() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    for number in 0..300 {
        let status = if number % 2 == 0 { Down } else { Up };
        test.clock.set((number + 1) * 10);
        test.observe(&[((number + 1) * 10, status)], &[]);
    }
    let record = &test.recorder.services()[&ServiceKey::new("api")];
    assert_eq!(record.changes().len(), 200);
    for second in (3000..30 * 3600).step_by(10) {
        test.clock.set(second);
        test.observe(&[], &[]);
    }
    let record = &test.recorder.services()[&ServiceKey::new("api")];
    assert_eq!(record.series(Step::FiveMinutes).iter().len(), 301);
    assert_eq!(record.series(Step::Hour).iter().len(), 30);
}

#[test]
fn removed_services_go_first_when_room_is_needed() {
    let mut test = Test::new();
    test.keys = vec!["old".to_owned(), "older".to_owned()];
    test.observe(&[], &[]);
    test.run_until(100);
    test.keys = vec!["old".to_owned()];
    // The day after, so that "older" has older data.
    test.clock.set(86_410);
    test.observe(&[], &[]);
    test.run_until(86_420);
    let most = super::super::budget::MAX_BYTES / super::super::budget::Capacity::complete().bytes();
    test.keys = (0..most - 1).map(|number| format!("service-{number}")).collect();
    test.run_until(86_422);
    let has = |test: &Test, key: &str| test.recorder.services().contains_key(&ServiceKey::new(key));
    assert!(
        has(&test, "old") && !has(&test, "older"),
        "the one that was removed first goes first"
    );
    test.keys.push("one-more".to_owned());
    test.run_until(86_423);
    assert!(!has(&test, "old"));
    assert_eq!(test.recorder.services().len(), most);
}

#[test]
fn a_removed_service_is_kept_for_400_days() {
    let mut test = Test::new();
    test.observe(&[], &[]);
    test.run_until(10);
    test.keys = Vec::new();
    test.run_until(12);
    test.recorder.forget_old((BEGIN + 399 * 86_400) * 1000);
    assert_eq!(test.recorder.services().len(), 1);
    test.recorder.forget_old((BEGIN + 402 * 86_400) * 1000);
    assert_eq!(test.recorder.services().len(), 0);
}
