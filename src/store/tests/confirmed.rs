//! Conditions that there is evidence for: tolerance 30 s for down, recheck interval 5 s, so runs have to hold it for 25 s.

use super::*;
use crate::config::Service;
use crate::model::{Shortage, Tolerance};

const DOWN: usize = Condition::Down as usize;
const DEGRADED: usize = Condition::Degraded as usize;

fn one(settings: CheckSettings) -> Config {
    config(vec![("api", vec![settings])])
}

/// The same with a tolerance of so many seconds for down.
fn tolerating(seconds: u64, mut config: Config) -> Config {
    for service in &mut config.services {
        let tolerance = Tolerance {
            down: Duration::from_secs(seconds),
            ..service.tolerance
        };
        *service = Arc::new(Service {
            tolerance,
            ..Service::clone(service)
        });
    }
    config
}

impl Bench {
    fn is_confirmed(&self) -> bool {
        self.service().confirmed.unwrap()[DOWN]
    }

    /// Records failures of one second that end at these seconds; whether down is confirmed after each.
    fn fail(&self, id: &str, seconds: &[i64]) -> Vec<bool> {
        let after = seconds.iter().map(|second| {
            self.run(id, *second, REFUSED);
            self.is_confirmed()
        });
        after.collect()
    }
}

#[test]
fn runs_that_hold_a_condition_for_its_tolerance_less_one_recheck_confirm_it() {
    let bench = Bench::new(&one(check("http")));
    assert_eq!(bench.service().confirmed, None, "before the first verdict");
    bench.run("api/http", 5, None);
    assert_eq!(bench.service().confirmed, Some([false; 3]));
    // The first failing run starts at 10, so it takes one that ends at 35.
    assert_eq!(
        bench.fail("api/http", &[11, 16, 21, 26, 31, 36]),
        [false, false, false, false, false, true]
    );
    assert!(
        !bench.service().confirmed.unwrap()[DEGRADED],
        "degraded is tolerated for longer"
    );
    bench.run("api/http", 41, None);
    assert!(bench.is_confirmed(), "one success does not end the condition");
    bench.run("api/http", 46, None);
    assert_eq!(bench.service().confirmed, Some([false; 3]));
    assert_eq!(bench.fail("api/http", &[50]), [false], "a new outage starts anew");
}

#[test]
fn a_blip_that_is_over_is_not_confirmed_by_time() {
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11, 16]);
    bench.run("api/http", 21, None);
    for second in [40, 80, 110] {
        bench.clock.set(second);
        assert!(!bench.is_confirmed());
    }
    // The condition lasts until a second success, however late that is.
    bench.run("api/http", 115, None);
    assert_eq!(bench.down(), Some(0.0));
    // A failure that nobody looks at again is not confirmed either.
    bench.fail("api/http", &[120]);
    bench.clock.set(180);
    assert!(!bench.is_confirmed());
}

#[test]
fn a_check_that_fails_every_other_run_is_confirmed() {
    let bench = Bench::new(&one(check("http")));
    let mut after = Vec::new();
    for second in (11..=41).step_by(5) {
        bench.run("api/http", second, (second % 2 == 1).then_some(Reason::Refused));
        after.push(bench.is_confirmed());
    }
    assert_eq!(after, [false, false, false, false, false, false, true]);
}

#[test]
fn a_failure_that_rolls_from_check_to_check_is_confirmed() {
    let bench = Bench::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    bench.run("api/tcp", 5, None);
    assert_eq!(bench.fail("api/http", &[11, 16]), [false, false]);
    assert_eq!(bench.fail("api/tcp", &[20, 25]), [false, false]);
    bench.run("api/http", 21, None);
    bench.run("api/http", 26, None);
    assert_eq!(bench.fail("api/tcp", &[30, 35]), [false, true]);
}

#[test]
fn with_several_failures_before_down_the_whole_series_counts() {
    let mut settings = check("http");
    settings.failures_before_down = 3;
    let bench = Bench::new(&one(settings));
    bench.run("api/http", 5, None);
    assert_eq!(
        bench.fail("api/http", &[11, 16, 36]),
        [false, false, true],
        "down since 10"
    );
}

#[test]
fn an_inconclusive_run_is_no_evidence() {
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11]);
    let problem = Problem::from_shortage(Shortage::Time, "the process was frozen");
    let outcome = Outcome {
        conclusion: Conclusion::from(problem),
        ..Outcome::default()
    };
    bench.record(bench.handle("api/http"), 40, outcome);
    assert!(!bench.is_confirmed());
    assert_eq!(bench.fail("api/http", &[45]), [true], "it spoke against nothing");
}

/// Records a run with a start and an end.
fn hang(bench: &Bench, started: i64, ended: i64) -> bool {
    bench.clock.set(ended);
    let run = Run {
        started: Moment::from_nanos(started * SECOND),
        ended: Moment::from_nanos(ended * SECOND),
    };
    let outcome = Bench::outcome(Some(Reason::Timeout), None);
    bench.store.record(bench.handle("api/http"), run, outcome, 0);
    bench.is_confirmed()
}

#[test]
fn a_hanging_run_is_evidence_from_its_start_to_its_deadline() {
    let bench = Bench::new(&one(check("http")));
    assert_eq!([hang(&bench, 10, 20), hang(&bench, 20, 30)], [false; 2]);
    assert!(hang(&bench, 30, 40), "30 s since 10");
    let bench = Bench::new(&one(check("http")));
    assert!(
        !hang(&bench, 10, 300),
        "a process that was frozen for minutes has not watched meanwhile"
    );
}

#[test]
fn where_no_second_run_can_come_in_time_the_first_one_confirms() {
    let mut settings = check("http");
    settings.interval = Duration::from_secs(300);
    settings.recheck_interval = Duration::from_secs(60);
    let bench = Bench::new(&one(settings));
    assert_eq!(bench.fail("api/http", &[11]), [true]);
}

/// Degraded is tolerated for 60 s, and such a check runs at its interval: of 45 s, the page would come half a minute late.
#[test]
fn a_check_that_is_only_degraded_is_rechecked_when_its_tolerance_is_almost_over() {
    let mut settings = check("http");
    settings.interval = Duration::from_secs(45);
    let bench = Bench::new(&one(settings));
    let warn = |second| {
        let outcome = Outcome {
            conclusion: Conclusion::Warning(Problem::new(Reason::Limit, "a long queue")),
            ..Outcome::default()
        };
        let advice = bench.record(bench.handle("api/http"), second, outcome);
        (advice.recheck, bench.service().confirmed.unwrap()[DEGRADED])
    };
    bench.run("api/http", 5, None);
    assert_eq!(warn(11), (false, false), "degraded since 10");
    assert_eq!([56, 61].map(warn), [(true, false); 2]);
    assert_eq!([66, 111].map(warn), [(false, true); 2]);
}

#[test]
fn another_tolerance_is_held_against_the_evidence_there_is() {
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11, 16, 21]);
    bench.store.apply(&tolerating(17, one(check("http"))));
    assert!(!bench.is_confirmed());
    bench.store.apply(&tolerating(16, one(check("http"))));
    assert!(bench.is_confirmed());
    bench.store.apply(&tolerating(600, one(check("http"))));
    assert!(bench.is_confirmed(), "confirmed lasts as long as the condition");
    // A run that spoke against the condition, and a check that has changed, leave no evidence.
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11, 16, 21]);
    bench.run("api/http", 26, None);
    bench.store.apply(&tolerating(10, one(check("http"))));
    assert!(!bench.is_confirmed());
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11, 16, 21]);
    let mut edited = check("http");
    edited.interval = Duration::from_secs(30);
    bench.store.apply(&tolerating(10, one(edited)));
    assert!(!bench.is_confirmed());
    assert_eq!(bench.fail("api/http", &[26]), [true]);
}

#[test]
fn a_step_of_the_wall_clock_confirms_nothing() {
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11]);
    bench.clock.offset.fetch_add(3600 * SECOND, Ordering::SeqCst);
    bench.store.sweep();
    assert_eq!(bench.fail("api/http", &[16, 21]), [false; 2]);
    bench.clock.offset.fetch_sub(7200 * SECOND, Ordering::SeqCst);
    bench.store.sweep();
    assert_eq!(bench.fail("api/http", &[26, 31, 36]), [false, false, true]);
}

#[test]
fn a_restart_keeps_evidence_and_what_it_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| Bench::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let bench = begin(0);
    bench.fail("api/http", &[11, 16]);
    drop(bench);
    let bench = begin(50);
    assert!(!bench.is_confirmed(), "nobody has looked since");
    assert_eq!(bench.fail("api/http", &[52]), [true]);
    drop(bench);
    let bench = begin(60);
    assert!(bench.is_confirmed());
    bench.run("api/http", 62, None);
    drop(bench);
    let bench = begin(70);
    assert!(bench.is_confirmed());
    bench.run("api/http", 72, None);
    assert!(!bench.is_confirmed());
}

#[test]
fn time_that_nobody_watched_is_no_evidence() {
    const DAY: i64 = 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| Bench::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let bench = begin(0);
    bench.fail("api/http", &[11]);
    drop(bench);
    let bench = begin(DAY);
    assert_eq!(bench.fail("api/http", &[DAY + 3, DAY + 8]), [false; 2]);
    assert_eq!(bench.down(), Some(10.0), "the since-time never moves forward");
    drop(bench);
    let bench = begin(DAY + 10);
    assert_eq!(bench.fail("api/http", &[DAY + 22, DAY + 27]), [false, true]);
}

#[test]
fn a_page_that_ended_long_ago_needs_evidence_again() {
    const DAY: i64 = 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let begin = |second| Bench::with(clock(second), Some(dir.path().to_owned()), &one(check("http")));
    let bench = begin(0);
    bench.fail("api/http", &[11, 20, 30, 40]);
    assert!(bench.is_confirmed());
    drop(bench);
    // The rules hold what they knew for ten minutes. A short absence changes nothing.
    let bench = begin(600);
    assert!(bench.is_confirmed());
    drop(bench);
    let bench = begin(DAY);
    assert_eq!(bench.fail("api/http", &[DAY + 3]), [false]);
}

#[test]
fn a_page_needs_evidence_again_after_a_long_suspension() {
    let bench = Bench::new(&one(check("http")));
    bench.fail("api/http", &[11, 20, 30, 40]);
    assert!(bench.is_confirmed());
    let since = bench.down();
    // A short one changes nothing, as the rules hold the page.
    bench.clock.set(600);
    assert!(bench.is_confirmed());
    bench.clock.set(9000);
    assert!(!bench.is_confirmed());
    assert_eq!(bench.down(), since, "the since-time stays");
    assert_eq!(bench.fail("api/http", &[9003]), [false]);
}
