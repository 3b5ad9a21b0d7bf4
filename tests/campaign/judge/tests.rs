//! The judge finds each kind of wrong, and nothing in what is right.

use super::*;

const TERMS: Terms = Terms {
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

/// Long after everything.
const UNTIL: f64 = 1000.0;

fn fault(kind: Kind, begun: f64, ended: f64) -> Fault {
    Fault {
        service: "api".to_owned(),
        tier: Tier::Critical,
        kind,
        begun,
        ended,
    }
}

fn tolerant(kind: Kind, begun: f64, ended: f64) -> Fault {
    Fault {
        tier: Tier::Tolerant,
        ..fault(kind, begun, ended)
    }
}

fn fires(alert: Alert, at: f64) -> Told {
    Told {
        at,
        service: "api".to_owned(),
        alert,
        is_firing: true,
    }
}

fn ends(alert: Alert, at: f64) -> Told {
    Told {
        is_firing: false,
        ..fires(alert, at)
    }
}

fn outage(begun: f64, ended: f64) -> Outage {
    Outage {
        victim: Victim::Prometheus,
        blow: Blow::Frozen,
        begun,
        ended,
    }
}

fn wrongs(faults: &[Fault], outages: &[Outage], told: &[Told]) -> Vec<Wrong> {
    let verdict = judge(&TERMS, faults, outages, told, UNTIL);
    let in_rows: usize = verdict.rows.values().flat_map(|row| row.wrongs.values()).sum();
    let of_faults = verdict.findings.iter().filter(|found| found.fault.is_some());
    assert_eq!(in_rows, of_faults.count(), "rows and findings differ");
    verdict.findings.iter().map(|found| found.wrong).collect()
}

#[test]
fn what_is_right_is_right() {
    use Alert::{Degraded, Down, DownTolerated, Slow};
    for (faults, told) in [
        (vec![], vec![]),
        (vec![fault(Kind::Refuse, 10.0, 28.0)], vec![]),
        (
            vec![fault(Kind::Refuse, 10.0, 110.0)],
            vec![fires(Down, 52.0), ends(Down, 150.0)],
        ),
        // Two faults of one service, each with its own page.
        (
            vec![fault(Kind::Dead, 10.0, 110.0), fault(Kind::Dead, 300.0, 400.0)],
            vec![
                fires(Down, 52.0),
                ends(Down, 150.0),
                fires(Down, 345.0),
                ends(Down, 440.0),
            ],
        ),
        (
            vec![fault(Kind::Slow, 10.0, 150.0)],
            vec![fires(Degraded, 90.0), ends(Degraded, 190.0)],
        ),
        // What is down is not fully up, and what hangs is slow.
        (
            vec![fault(Kind::Hang, 10.0, 170.0)],
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
            vec![tolerant(Kind::Reset, 10.0, 170.0)],
            vec![fires(DownTolerated, 160.0), ends(DownTolerated, 210.0)],
        ),
        // Too short to be due, long enough to be told: both are right.
        (vec![fault(Kind::Status, 10.0, 60.0)], vec![]),
        (
            vec![fault(Kind::Status, 10.0, 60.0)],
            vec![fires(Down, 62.0), ends(Down, 100.0)],
        ),
        // It goes on when the campaign ends.
        (
            vec![fault(Kind::Status, 10.0, f64::INFINITY)],
            vec![fires(Down, 52.0)],
        ),
    ] {
        assert_eq!(wrongs(&faults, &[], &told), [], "{faults:?} {told:?}");
    }
}

#[test]
fn a_fault_that_is_never_told_or_too_late_is_missed() {
    let faults = [fault(Kind::Refuse, 10.0, 110.0)];
    assert_eq!(wrongs(&faults, &[], &[]), [Wrong::Missed]);
    // 5 to the next run, 45 for evidence and a scrape, 5 to an evaluation, 1 for the group, 4 to spare.
    let at = |at| [fires(Alert::Down, at), ends(Alert::Down, 150.0)];
    assert_eq!(wrongs(&faults, &[], &at(69.9)), []);
    assert_eq!(wrongs(&faults, &[], &at(70.1)), [Wrong::Missed]);
    // The alert of another tier, or about less, does not tell it.
    let told = [fires(Alert::Degraded, 80.0), ends(Alert::Degraded, 150.0)];
    assert_eq!(wrongs(&faults, &[], &told), [Wrong::Missed]);
    // A hanging target's runs end ten seconds apart.
    let hanging = [fault(Kind::Hang, 10.0, 110.0)];
    assert_eq!(wrongs(&hanging, &[], &at(74.9)), []);
    assert_eq!(wrongs(&hanging, &[], &at(75.1)), [Wrong::Missed]);
}

#[test]
fn a_fault_that_the_campaign_cut_short_is_not_missed() {
    let faults = [fault(Kind::Refuse, 10.0, f64::INFINITY)];
    assert_eq!(judge(&TERMS, &faults, &[], &[], 69.0).findings, []);
    assert_eq!(judge(&TERMS, &faults, &[], &[], 71.0).findings.len(), 1);
}

#[test]
fn outages_excuse_what_they_delay_and_no_more() {
    let faults = [fault(Kind::Refuse, 10.0, 170.0)];
    let at = |at| [fires(Alert::Down, at), ends(Alert::Down, 220.0)];
    // The scrape that would bring the evidence is due until 60.
    let one = [outage(50.0, 60.0)];
    assert_eq!(wrongs(&faults, &one, &at(84.9)), []);
    assert_eq!(wrongs(&faults, &one, &at(85.1)), [Wrong::Missed]);
    let others = [outage(-60.0, -40.0), outage(80.0, 90.0)];
    assert_eq!(wrongs(&faults, &others, &at(70.1)), [Wrong::Missed]);
}

#[test]
fn a_page_for_what_was_short_is_false() {
    // 30 s of tolerance less a recheck interval of 5 s.
    let told = [fires(Alert::Down, 50.0), ends(Alert::Down, 80.0)];
    assert_eq!(
        wrongs(&[fault(Kind::Hang, 10.0, 34.9)], &[], &told),
        [Wrong::False]
    );
    assert_eq!(wrongs(&[fault(Kind::Hang, 10.0, 35.1)], &[], &told), []);
    // What 160 s of tolerance bear: a tolerant service, and slowness.
    let told = [
        fires(Alert::DownTolerated, 140.0),
        ends(Alert::DownTolerated, 170.0),
    ];
    assert_eq!(
        wrongs(&[tolerant(Kind::Dead, 10.0, 120.0)], &[], &told),
        [Wrong::False]
    );
    let told = [fires(Alert::Degraded, 75.0), ends(Alert::Degraded, 100.0)];
    assert_eq!(
        wrongs(&[fault(Kind::Slow, 10.0, 64.0)], &[], &told),
        [Wrong::False]
    );
}

#[test]
fn a_page_without_a_fault_is_false() {
    assert_eq!(wrongs(&[], &[], &[fires(Alert::Down, 50.0)]), [Wrong::False]);
    // Before the fault began, or so soon after that it can't be about it.
    let faults = [fault(Kind::Refuse, 100.0, 118.0)];
    assert_eq!(wrongs(&faults, &[], &[fires(Alert::Down, 90.0)]), [Wrong::False]);
    assert_eq!(wrongs(&faults, &[], &[fires(Alert::Down, 110.0)]), [Wrong::False]);
}

#[test]
fn a_page_that_is_too_soon_for_its_fault_belongs_to_the_one_before() {
    let faults = [fault(Kind::Refuse, 10.0, 20.0), fault(Kind::Refuse, 150.0, 250.0)];
    let told = [
        fires(Alert::Down, 160.0),
        fires(Alert::Down, 195.0),
        ends(Alert::Down, 290.0),
    ];
    let verdict = judge(&TERMS, &faults, &[], &told, UNTIL);
    let false_ones: Vec<_> = verdict
        .findings
        .iter()
        .filter(|found| found.wrong == Wrong::False)
        .collect();
    assert_eq!(false_ones.len(), 1);
    assert_eq!(false_ones[0].fault.as_ref(), Some(&faults[0]));
    assert_eq!(verdict.pages, [45.0]);
}

#[test]
fn a_page_that_says_what_is_not_so_is_false() {
    // A service that is slow is not down, and a service that refuses is not slow.
    let down = [fires(Alert::Down, 60.0), fires(Alert::Degraded, 90.0)];
    assert!(wrongs(&[fault(Kind::Slow, 10.0, 150.0)], &[], &down).contains(&Wrong::False));
    let slow = [fires(Alert::Down, 52.0), fires(Alert::Slow, 140.0)];
    assert!(wrongs(&[fault(Kind::Refuse, 10.0, 160.0)], &[], &slow).contains(&Wrong::False));
    let other_tier = [fires(Alert::Down, 60.0)];
    assert!(wrongs(&[tolerant(Kind::Dead, 10.0, 100.0)], &[], &other_tier).contains(&Wrong::False));
}

#[test]
fn a_recovery_during_the_fault_is_early_and_the_page_after_it_repeated() {
    let faults = [fault(Kind::Refuse, 10.0, 150.0)];
    let told = [
        fires(Alert::Down, 52.0),
        ends(Alert::Down, 90.0),
        fires(Alert::Down, 100.0),
        ends(Alert::Down, 190.0),
    ];
    assert_eq!(wrongs(&faults, &[], &told), [Wrong::Early, Wrong::Repeated]);
    // Outages excuse neither.
    assert_eq!(
        wrongs(&faults, &[outage(60.0, 85.0)], &told),
        [Wrong::Early, Wrong::Repeated]
    );
}

#[test]
fn the_same_page_twice_is_repeated() {
    let faults = [fault(Kind::Refuse, 10.0, 150.0)];
    let told = [
        fires(Alert::Down, 52.0),
        fires(Alert::Down, 53.0),
        ends(Alert::Down, 190.0),
    ];
    assert_eq!(wrongs(&faults, &[], &told), [Wrong::Repeated]);
    // Also after the fault's end, and after its recovery.
    let told = [
        fires(Alert::Down, 52.0),
        ends(Alert::Down, 170.0),
        fires(Alert::Down, 180.0),
        ends(Alert::Down, 230.0),
    ];
    assert_eq!(wrongs(&faults, &[], &told), [Wrong::Repeated]);
}

#[test]
fn a_page_that_does_not_end_is_found() {
    let faults = [fault(Kind::Refuse, 10.0, 110.0)];
    assert_eq!(
        wrongs(&faults, &[], &[fires(Alert::Down, 52.0)]),
        [Wrong::Unended]
    );
}

#[test]
fn services_are_judged_apart() {
    let mut other = fault(Kind::Refuse, 10.0, 110.0);
    other.service = "web".to_owned();
    let told = [fires(Alert::Down, 52.0), ends(Alert::Down, 150.0)];
    assert_eq!(wrongs(&[other], &[], &told), [Wrong::False, Wrong::Missed]);
}

#[test]
fn rows_count_and_pages_that_an_outage_disturbed_are_kept_apart() {
    let faults = [
        fault(Kind::Refuse, 10.0, 110.0),
        fault(Kind::Refuse, 300.0, 400.0),
        fault(Kind::Refuse, 600.0, 610.0),
        fault(Kind::Slow, 700.0, 710.0),
    ];
    let told = [
        fires(Alert::Down, 50.0),
        ends(Alert::Down, 150.0),
        fires(Alert::Down, 360.0),
        ends(Alert::Down, 440.0),
    ];
    let verdict = judge(&TERMS, &faults, &[outage(310.0, 320.0)], &told, UNTIL);
    let long = &verdict.rows[&(Kind::Refuse, Class::Long)];
    assert_eq!((long.faults, long.due, long.told), (2, 2, 2));
    assert_eq!(long.delays, [40.0, 60.0]);
    assert_eq!(verdict.rows[&(Kind::Refuse, Class::Short)].faults, 1);
    assert_eq!(verdict.rows[&(Kind::Slow, Class::Short)].faults, 1);
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
