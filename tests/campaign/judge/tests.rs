//! The judge finds every kind of problem, and none in correct campaigns.

use super::*;

const TIMING: Timing = Timing {
    interval: 5.0,
    recheck: 5.0,
    deadline: 10.0,
    scrape: 15.0,
    evaluation: 5.0,
    page_wait: 1.0,
    group_wait: 10.0,
    group_interval: 30.0,
    slack: 4.0,
    has_lost_alerts: false,
};

/// Long after all faults.
const UNTIL: f64 = 1000.0;

fn fault(kind: FaultKind, begun: f64, ended: f64) -> Fault {
    Fault {
        service: "api".to_owned(),
        tier: Tier::Critical,
        kind,
        begun,
        ended,
    }
}

fn tolerant(kind: FaultKind, begun: f64, ended: f64) -> Fault {
    Fault {
        tier: Tier::Tolerant,
        ..fault(kind, begun, ended)
    }
}

fn fires(alert: Alert, at: f64) -> Notification {
    Notification {
        at,
        service: "api".to_owned(),
        alert,
        is_firing: true,
    }
}

fn ends(alert: Alert, at: f64) -> Notification {
    Notification {
        is_firing: false,
        ..fires(alert, at)
    }
}

fn outage(begun: f64, ended: f64) -> Outage {
    Outage {
        victim: Victim::Prometheus,
        kind: OutageKind::Frozen,
        begun,
        ended,
    }
}

fn problems(faults: &[Fault], outages: &[Outage], notifications: &[Notification]) -> Vec<Problem> {
    let verdict = judge(&TIMING, faults, outages, notifications, UNTIL);
    let in_rows: usize = verdict.rows.values().flat_map(|row| row.problems.values()).sum();
    let of_faults = verdict.findings.iter().filter(|found| found.fault.is_some());
    assert_eq!(in_rows, of_faults.count(), "rows and findings differ");
    verdict.findings.iter().map(|found| found.problem).collect()
}

#[test]
fn correct_notifications_have_no_findings() {
    use Alert::{Degraded, Down, DownTolerated, Slow};
    for (faults, notifications) in [
        (vec![], vec![]),
        (vec![fault(FaultKind::Refuse, 10.0, 28.0)], vec![]),
        (
            vec![fault(FaultKind::Refuse, 10.0, 110.0)],
            vec![fires(Down, 52.0), ends(Down, 150.0)],
        ),
        // Two faults of one service, each with its own page.
        (
            vec![
                fault(FaultKind::Dead, 10.0, 110.0),
                fault(FaultKind::Dead, 300.0, 400.0),
            ],
            vec![
                fires(Down, 52.0),
                ends(Down, 150.0),
                fires(Down, 345.0),
                ends(Down, 440.0),
            ],
        ),
        (
            vec![fault(FaultKind::Slow, 10.0, 150.0)],
            vec![fires(Degraded, 90.0), ends(Degraded, 190.0)],
        ),
        // A service that is down is also degraded, and a service that hangs is also slow.
        (
            vec![fault(FaultKind::Hang, 10.0, 170.0)],
            vec![
                fires(Down, 52.0),
                fires(Degraded, 80.0),
                fires(Slow, 140.0),
                ends(Slow, 200.0),
                ends(Degraded, 200.0),
                ends(Down, 200.0),
            ],
        ),
        (
            vec![tolerant(FaultKind::Reset, 10.0, 170.0)],
            vec![fires(DownTolerated, 160.0), ends(DownTolerated, 210.0)],
        ),
        // Too short to require a notification, long enough to allow one: both are correct.
        (vec![fault(FaultKind::Status, 10.0, 60.0)], vec![]),
        (
            vec![fault(FaultKind::Status, 10.0, 60.0)],
            vec![fires(Down, 62.0), ends(Down, 100.0)],
        ),
        // It lasts until the end of the campaign.
        (
            vec![fault(FaultKind::Status, 10.0, f64::INFINITY)],
            vec![fires(Down, 52.0)],
        ),
    ] {
        assert_eq!(
            problems(&faults, &[], &notifications),
            [],
            "{faults:?} {notifications:?}"
        );
    }
}

#[test]
fn a_fault_without_a_notification_in_time_is_missed() {
    let faults = [fault(FaultKind::Refuse, 10.0, 110.0)];
    assert_eq!(problems(&faults, &[], &[]), [Problem::Missed]);
    // 5 to the next run, 45 for evidence and a scrape, 5 to an evaluation, 1 for the group, 4 of slack.
    let at = |at| [fires(Alert::Down, at), ends(Alert::Down, 150.0)];
    assert_eq!(problems(&faults, &[], &at(69.9)), []);
    assert_eq!(problems(&faults, &[], &at(70.1)), [Problem::Missed]);
    // The alert of another condition does not count.
    let notifications = [fires(Alert::Degraded, 80.0), ends(Alert::Degraded, 150.0)];
    assert_eq!(problems(&faults, &[], &notifications), [Problem::Missed]);
    // The runs of a hanging target end ten seconds apart.
    let hanging = [fault(FaultKind::Hang, 10.0, 110.0)];
    assert_eq!(problems(&hanging, &[], &at(74.9)), []);
    assert_eq!(problems(&hanging, &[], &at(75.1)), [Problem::Missed]);
}

#[test]
fn a_fault_cut_off_by_the_end_of_the_campaign_is_not_missed() {
    let faults = [fault(FaultKind::Refuse, 10.0, f64::INFINITY)];
    assert_eq!(judge(&TIMING, &faults, &[], &[], 69.0).findings, []);
    assert_eq!(judge(&TIMING, &faults, &[], &[], 71.0).findings.len(), 1);
}

#[test]
fn outages_excuse_what_they_delay_and_no_more() {
    let faults = [fault(FaultKind::Refuse, 10.0, 170.0)];
    let at = |at| [fires(Alert::Down, at), ends(Alert::Down, 220.0)];
    // The scrape with the evidence is due until 60.
    let one = [outage(50.0, 60.0)];
    assert_eq!(problems(&faults, &one, &at(84.9)), []);
    assert_eq!(problems(&faults, &one, &at(85.1)), [Problem::Missed]);
    let others = [outage(-60.0, -40.0), outage(80.0, 90.0)];
    assert_eq!(problems(&faults, &others, &at(70.1)), [Problem::Missed]);
}

#[test]
fn a_page_for_a_short_fault_is_false() {
    // A tolerance of 30 s minus a recheck interval of 5 s.
    let notifications = [fires(Alert::Down, 50.0), ends(Alert::Down, 80.0)];
    assert_eq!(
        problems(&[fault(FaultKind::Hang, 10.0, 34.9)], &[], &notifications),
        [Problem::False]
    );
    assert_eq!(
        problems(&[fault(FaultKind::Hang, 10.0, 35.1)], &[], &notifications),
        []
    );
    // Longer tolerances: a tolerant service, and degraded.
    let notifications = [
        fires(Alert::DownTolerated, 140.0),
        ends(Alert::DownTolerated, 170.0),
    ];
    assert_eq!(
        problems(&[tolerant(FaultKind::Dead, 10.0, 120.0)], &[], &notifications),
        [Problem::False]
    );
    let notifications = [fires(Alert::Degraded, 75.0), ends(Alert::Degraded, 100.0)];
    assert_eq!(
        problems(&[fault(FaultKind::Slow, 10.0, 64.0)], &[], &notifications),
        [Problem::False]
    );
}

#[test]
fn a_page_without_a_fault_is_false() {
    assert_eq!(problems(&[], &[], &[fires(Alert::Down, 50.0)]), [Problem::False]);
    // Before the fault began, or too soon after.
    let faults = [fault(FaultKind::Refuse, 100.0, 118.0)];
    assert_eq!(
        problems(&faults, &[], &[fires(Alert::Down, 90.0)]),
        [Problem::False]
    );
    assert_eq!(
        problems(&faults, &[], &[fires(Alert::Down, 110.0)]),
        [Problem::False]
    );
}

#[test]
fn a_page_too_early_for_a_fault_belongs_to_the_previous_one() {
    let faults = [
        fault(FaultKind::Refuse, 10.0, 20.0),
        fault(FaultKind::Refuse, 150.0, 250.0),
    ];
    let notifications = [
        fires(Alert::Down, 160.0),
        fires(Alert::Down, 195.0),
        ends(Alert::Down, 290.0),
    ];
    let verdict = judge(&TIMING, &faults, &[], &notifications, UNTIL);
    let false_ones: Vec<_> = verdict
        .findings
        .iter()
        .filter(|found| found.problem == Problem::False)
        .collect();
    assert_eq!(false_ones.len(), 1);
    assert_eq!(false_ones[0].fault.as_ref(), Some(&faults[0]));
    assert_eq!(verdict.pages, [45.0]);
}

#[test]
fn a_page_for_another_condition_is_false() {
    // A slow service is not down, and a service that refuses connections is not slow.
    let down = [fires(Alert::Down, 60.0), fires(Alert::Degraded, 90.0)];
    assert!(problems(&[fault(FaultKind::Slow, 10.0, 150.0)], &[], &down).contains(&Problem::False));
    let slow = [fires(Alert::Down, 52.0), fires(Alert::Slow, 140.0)];
    assert!(problems(&[fault(FaultKind::Refuse, 10.0, 160.0)], &[], &slow).contains(&Problem::False));
    let other_tier = [fires(Alert::Down, 60.0)];
    assert!(problems(&[tolerant(FaultKind::Dead, 10.0, 100.0)], &[], &other_tier).contains(&Problem::False));
}

#[test]
fn a_recovery_during_a_fault_is_early_and_the_next_page_is_repeated() {
    let faults = [fault(FaultKind::Refuse, 10.0, 150.0)];
    let notifications = [
        fires(Alert::Down, 52.0),
        ends(Alert::Down, 90.0),
        fires(Alert::Down, 100.0),
        ends(Alert::Down, 190.0),
    ];
    assert_eq!(
        problems(&faults, &[], &notifications),
        [Problem::Early, Problem::Repeated]
    );
    // Outages excuse neither.
    assert_eq!(
        problems(&faults, &[outage(60.0, 85.0)], &notifications),
        [Problem::Early, Problem::Repeated]
    );
}

#[test]
fn the_same_page_twice_is_repeated() {
    let faults = [fault(FaultKind::Refuse, 10.0, 150.0)];
    let notifications = [
        fires(Alert::Down, 52.0),
        fires(Alert::Down, 53.0),
        ends(Alert::Down, 190.0),
    ];
    assert_eq!(problems(&faults, &[], &notifications), [Problem::Repeated]);
    // Also after the end of the fault and its recovery.
    let notifications = [
        fires(Alert::Down, 52.0),
        ends(Alert::Down, 170.0),
        fires(Alert::Down, 180.0),
        ends(Alert::Down, 230.0),
    ];
    assert_eq!(problems(&faults, &[], &notifications), [Problem::Repeated]);
}

#[test]
fn a_page_without_a_recovery_is_unresolved() {
    let faults = [fault(FaultKind::Refuse, 10.0, 110.0)];
    assert_eq!(
        problems(&faults, &[], &[fires(Alert::Down, 52.0)]),
        [Problem::Unresolved]
    );
}

#[test]
fn services_are_judged_separately() {
    let mut other = fault(FaultKind::Refuse, 10.0, 110.0);
    other.service = "web".to_owned();
    let notifications = [fires(Alert::Down, 52.0), ends(Alert::Down, 150.0)];
    assert_eq!(
        problems(&[other], &[], &notifications),
        [Problem::False, Problem::Missed]
    );
}

#[test]
fn rows_count_faults_and_pages_with_outages_are_separate() {
    let faults = [
        fault(FaultKind::Refuse, 10.0, 110.0),
        fault(FaultKind::Refuse, 300.0, 400.0),
        fault(FaultKind::Refuse, 600.0, 610.0),
        fault(FaultKind::Slow, 700.0, 710.0),
    ];
    let notifications = [
        fires(Alert::Down, 50.0),
        ends(Alert::Down, 150.0),
        fires(Alert::Down, 360.0),
        ends(Alert::Down, 440.0),
    ];
    let verdict = judge(&TIMING, &faults, &[outage(310.0, 320.0)], &notifications, UNTIL);
    let long = &verdict.rows[&(FaultKind::Refuse, FaultLength::Long)];
    assert_eq!((long.faults, long.due, long.notified), (2, 2, 2));
    assert_eq!(long.delays, [40.0, 60.0]);
    assert_eq!(verdict.rows[&(FaultKind::Refuse, FaultLength::Short)].faults, 1);
    assert_eq!(verdict.rows[&(FaultKind::Slow, FaultLength::Short)].faults, 1);
    assert_eq!(
        (verdict.pages, verdict.undisturbed),
        (vec![40.0, 60.0], vec![40.0])
    );
    assert_eq!(verdict.findings, []);
}

#[test]
fn medians() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
}
