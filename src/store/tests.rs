//! The store with a clock of the tests' own.

mod clocks;
mod confirmed;
mod inconclusive;

use std::io::Write;
use std::sync::atomic::AtomicI64;

use tokio::time::Instant;

use super::*;
use crate::config::tests_support::{self, config};
use crate::model::{Conclusion, Condition, Moment, Problem, Reason, Severity, Status};

const SECOND: i64 = 1_000_000_000;

/// A clock that stands still until it is moved.
struct TestClock {
    now: AtomicI64,
    offset: AtomicI64,
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn wall_nanos(&self) -> i64 {
        self.now.load(Ordering::SeqCst) + self.offset.load(Ordering::SeqCst)
    }

    fn moment(&self, _: Instant) -> Moment {
        self.now()
    }
}

/// A clock that shows `now` seconds and the Unix time `now + 1,000,000`.
fn clock(now: i64) -> Arc<TestClock> {
    Arc::new(TestClock {
        now: (now * SECOND).into(),
        offset: (1_000_000 * SECOND).into(),
    })
}

impl TestClock {
    fn set(&self, second: i64) {
        self.now.store(second * SECOND, Ordering::SeqCst);
    }
}

fn check(name: &str) -> CheckSettings {
    tests_support::check(&format!("kind: tcp, name: {name}, address: \"127.0.0.1:1\""))
}

/// A store with its clock.
struct Bench {
    clock: Arc<TestClock>,
    store: Arc<Store>,
}

impl Bench {
    fn new(config: &Config) -> Self {
        Self::with(clock(0), None, config)
    }

    fn with(clock: Arc<TestClock>, dir: Option<PathBuf>, config: &Config) -> Self {
        let (store, notices) = Store::open(clock.clone(), dir).unwrap();
        assert_eq!(notices, [""; 0]);
        store.apply(config);
        Self { clock, store }
    }

    fn handle(&self, id: &str) -> CheckHandle {
        let handles = self.store.handles();
        handles
            .iter()
            .find(|(found, ..)| found.to_string() == id)
            .unwrap()
            .1
    }

    fn outcome(reason: Option<Reason>, response_time: Option<Duration>) -> Outcome {
        Outcome {
            conclusion: reason.map_or(Conclusion::Success, |reason| {
                Conclusion::Failure(Problem::new(reason, format_args!("{reason} it was")))
            }),
            duration: Duration::from_secs(1),
            response_time,
            ..Outcome::default()
        }
    }

    /// Records a run of one second that ends at `second`.
    fn run(&self, id: &str, second: i64, reason: Option<Reason>) -> NextRun {
        self.record(self.handle(id), second, Self::outcome(reason, None))
    }

    fn record(&self, handle: CheckHandle, second: i64, outcome: Outcome) -> NextRun {
        self.clock.set(second);
        let run = Run {
            started: Moment::from_nanos((second - 1) * SECOND),
            ended: Moment::from_nanos(second * SECOND),
        };
        self.store.record(handle, run, outcome, 0)
    }

    fn service(&self) -> ServiceView {
        self.store.snapshot().services.remove(0)
    }

    /// The down condition of the first service, in seconds of the test's clock.
    fn down(&self) -> Option<f64> {
        let since = self.service().conditions?[Condition::Down as usize];
        Some(if since == 0.0 { 0.0 } else { since - 1_000_000.0 })
    }
}

const REFUSED: Option<Reason> = Some(Reason::Refused);

#[test]
fn before_the_first_verdict_there_are_no_conditions() {
    let bench = Bench::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    let before = bench.service();
    assert_eq!(
        (before.status, before.status_since, before.conditions),
        (Status::Unknown, None, None)
    );
    bench.run("api/http", 5, None);
    let half = bench.service();
    assert_eq!((half.status, half.conditions), (Status::Unknown, None));
    assert!(!bench.store.snapshot().exporter.is_first_round_over);
    bench.run("api/tcp", 6, None);
    let up = bench.service();
    assert_eq!((up.status, up.conditions), (Status::Up, Some([0.0; 3])));
    assert_eq!((up.status_since, up.status_changes), (Some(1_000_005.0), 0));
    assert!(bench.store.snapshot().exporter.is_first_round_over);
}

#[test]
fn a_failure_and_its_recovery() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    assert!(!bench.run("api/http", 5, None).recheck);
    assert!(bench.run("api/http", 20, REFUSED).recheck);
    let down = bench.service();
    assert_eq!(
        (down.status, down.status_since),
        (Status::Down, Some(1_000_019.0))
    );
    assert_eq!(down.conditions, Some([1_000_019.0, 1_000_019.0, 0.0]));
    assert_eq!(down.checks[0].problem.as_ref().unwrap().reason, Reason::Refused);
    assert_eq!(down.checks[0].consecutive_failures, 1);
    assert!(
        bench.run("api/http", 25, None).recheck,
        "the recovery is to be confirmed"
    );
    let recovering = bench.service();
    assert_eq!(recovering.status, Status::Down);
    assert_eq!(
        recovering.checks[0].problem.as_ref().unwrap().message(),
        "refused it was"
    );
    assert!(!bench.run("api/http", 30, None).recheck);
    let up = bench.service();
    assert_eq!(
        (up.status, up.status_since, up.status_changes),
        (Status::Up, Some(1_000_024.0), 2)
    );
    assert_eq!(up.conditions, Some([0.0; 3]));
    let check = &up.checks[0];
    assert_eq!(
        (check.runs, check.failures, check.consecutive_failures),
        (4, 1, 0)
    );
    assert_eq!(
        (check.last_ended, check.last_success),
        (Some(1_000_030.0), Some(1_000_030.0))
    );
    assert!(check.problem.is_none());
}

#[test]
fn response_times_are_counted_and_slowness_is_a_condition() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    let handle = bench.handle("api/http");
    let time = |seconds| Some(Duration::from_secs(seconds));
    bench.record(handle, 5, Bench::outcome(None, time(2)));
    assert_eq!(bench.service().status, Status::Degraded);
    bench.record(handle, 20, Bench::outcome(Some(Reason::Timeout), time(10)));
    bench.record(handle, 35, Bench::outcome(REFUSED, None));
    let service = bench.service();
    assert_eq!(service.conditions, Some([1_000_019.0, 1_000_004.0, 1_000_019.0]));
    let times = service.checks[0].response_times.as_ref().unwrap();
    assert_eq!((times.count(), times.sum), (2, 12.0));
    bench.record(handle, 40, Bench::outcome(REFUSED, None));
    assert_eq!(
        bench.service().conditions.unwrap()[2],
        0.0,
        "two runs in a row were not slow"
    );
}

#[test]
fn an_old_result_is_unknown_and_ends_no_condition() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 10, REFUSED);
    bench.clock.set(100);
    assert_eq!(bench.service().status, Status::Down);
    let generation = bench.store.generation();
    bench.clock.set(101);
    bench.store.sweep();
    assert_ne!(bench.store.generation(), generation);
    let stale = bench.service();
    assert_eq!(
        (stale.status, stale.checks[0].status),
        (Status::Unknown, Status::Unknown)
    );
    assert_eq!((stale.status_since, stale.status_changes), (Some(1_000_101.0), 1));
    assert!(stale.checks[0].problem.is_none());
    assert_eq!(bench.down(), Some(9.0));
    bench.run("api/http", 200, None);
    assert_eq!(bench.down(), Some(9.0), "one success is not enough");
    bench.run("api/http", 205, None);
    assert_eq!(bench.down(), Some(0.0));
}

#[test]
fn since_times_are_stable_until_the_wall_clock_jumps() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 10, REFUSED);
    bench.clock.offset.fetch_add(400_000_000, Ordering::SeqCst);
    assert_eq!(bench.down(), Some(9.0));
    let generation = bench.store.generation();
    bench.clock.offset.fetch_add(3600 * SECOND, Ordering::SeqCst);
    let snapshot = bench.store.snapshot();
    assert_ne!(bench.store.generation(), generation);
    assert_eq!(snapshot.taken, 1_003_610.4);
    assert_eq!(snapshot.services[0].conditions.unwrap()[0], 1_003_609.4);
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let bench = Bench::new(&config(vec![
        ("api", vec![check("http")]),
        ("db", vec![check("tcp")]),
    ]));
    bench.run("api/http", 10, REFUSED);
    bench.run("db/tcp", 10, None);
    let handle = bench.handle("api/http");
    bench.store.apply(&config(vec![
        ("web", vec![check("http")]),
        ("api", vec![check("http")]),
    ]));
    assert_eq!(bench.handle("api/http"), handle);
    let snapshot = bench.store.snapshot();
    let keys: Vec<&str> = snapshot
        .services
        .iter()
        .map(|view| view.service.key.as_str())
        .collect();
    assert_eq!(keys, ["web", "api"]);
    assert_eq!(snapshot.services[0].status, Status::Unknown);
    assert_eq!(snapshot.services[1].conditions.unwrap()[0], 1_000_009.0);
    assert_eq!(snapshot.services[1].checks[0].runs, 1);
    assert!(
        snapshot.exporter.is_first_round_over,
        "a reload makes nobody unready"
    );
}

#[test]
fn an_edit_is_no_recovery_and_the_next_run_decides() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 10, REFUSED);
    let old = bench.handle("api/http");
    let mut edited = check("http");
    edited.interval = Duration::from_secs(30);
    bench.store.apply(&config(vec![("api", vec![edited])]));
    let new = bench.handle("api/http");
    assert_ne!(old, new);
    let service = bench.service();
    assert_eq!((service.status, bench.down()), (Status::Down, Some(9.0)));
    assert!(
        service.checks[0].last_run.is_none(),
        "what was measured may be of another target"
    );
    assert_eq!(
        (service.checks[0].runs, service.checks[0].last_ended),
        (1, Some(1_000_010.0))
    );
    bench.record(old, 12, Bench::outcome(None, None));
    assert_eq!(
        bench.service().checks[0].runs,
        1,
        "a run with the old settings leaves no trace"
    );
    bench.record(new, 14, Bench::outcome(None, None));
    assert_eq!((bench.service().status, bench.down()), (Status::Up, Some(0.0)));
}

#[test]
fn a_failing_check_that_is_removed_lets_its_service_go() {
    let both = config(vec![("api", vec![check("http"), check("tcp")])]);
    let bench = Bench::new(&both);
    bench.run("api/tcp", 8, None);
    bench.run("api/http", 10, REFUSED);
    bench.clock.set(20);
    bench.store.apply(&config(vec![("api", vec![check("tcp")])]));
    let service = bench.service();
    assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
    // Replaced by another one, it holds the service down until that has run.
    let bench = Bench::new(&both);
    bench.run("api/tcp", 8, None);
    bench.run("api/http", 10, REFUSED);
    bench
        .store
        .apply(&config(vec![("api", vec![check("tcp"), check("http2")])]));
    assert_eq!(
        (bench.service().status, bench.down()),
        (Status::Unknown, Some(9.0))
    );
    bench.run("api/http2", 12, None);
    assert_eq!((bench.service().status, bench.down()), (Status::Up, Some(0.0)));
}

#[test]
fn a_failed_reload_is_visible_and_changes_nothing() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.clock.set(50);
    bench.store.reload_failed();
    let exporter = bench.store.snapshot().exporter;
    assert_eq!(
        (exporter.last_reload_successful, exporter.last_reload_success),
        (false, 1_000_000.0)
    );
}

#[test]
fn a_restart_changes_no_since_time() {
    let dir = tempfile::tempdir().unwrap();
    let services = config(vec![("api", vec![check("http")]), ("db", vec![check("tcp")])]);
    let path = || Some(dir.path().to_owned());
    let bench = Bench::with(clock(0), path(), &services);
    bench.run("db/tcp", 9, None);
    bench.run("api/http", 10, REFUSED);
    let before = bench.service();
    drop(bench);
    // The next process starts 20 s later, and its monotonic clock at zero.
    let later = Arc::new(TestClock {
        now: 0.into(),
        offset: (1_000_030 * SECOND).into(),
    });
    let bench = Bench::with(later, path(), &services);
    let after = bench.service();
    assert_eq!(
        (after.status, after.conditions),
        (Status::Down, before.conditions)
    );
    assert_eq!(after.status_since, before.status_since);
    assert_eq!((after.status_changes, after.checks[0].runs), (0, 0));
    assert_eq!(after.checks[0].last_ended, Some(1_000_010.0));
    assert_eq!(
        after.checks[0].problem.as_ref().unwrap().message(),
        "refused it was"
    );
    assert!(!bench.store.snapshot().exporter.is_first_round_over);
    bench.run("api/http", 2, None);
    assert_eq!(
        bench.service().status,
        Status::Down,
        "the first run is an ordinary one"
    );
    bench.run("api/http", 7, None);
    assert_eq!(bench.service().status, Status::Up);
}

#[test]
fn after_a_restart_a_changed_check_decides_at_once_and_old_results_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let bench = Bench::with(clock(0), path(), &config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 10, REFUSED);
    drop(bench);
    let mut edited = check("http");
    edited.severity = Severity::Warning;
    let edited = config(vec![("api", vec![edited])]);
    let bench = Bench::with(clock(400), path(), &edited);
    let service = bench.service();
    assert_eq!((service.status, service.status_changes), (Status::Unknown, 0));
    assert_eq!(bench.down(), Some(9.0));
    // Another restart before the first run forgets neither.
    drop(bench);
    let bench = Bench::with(clock(410), path(), &edited);
    assert_eq!(bench.down(), Some(9.0));
    bench.run("api/http", 412, None);
    assert_eq!((bench.service().status, bench.down()), (Status::Up, Some(0.0)));
}

#[test]
fn what_was_known_days_ago_is_told_only_once_a_run_confirms_it() {
    const DAYS: i64 = 3 * 24 * 3600;
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let services = config(vec![("api", vec![check("http")]), ("db", vec![check("tcp")])]);
    let bench = Bench::with(clock(0), path(), &services);
    bench.run("api/http", 10, REFUSED);
    bench.run("db/tcp", 10, REFUSED);
    drop(bench);
    let bench = Bench::with(clock(DAYS), path(), &services);
    assert_eq!(
        (bench.service().status, bench.service().conditions),
        (Status::Unknown, None)
    );
    // Another restart before the first run forgets nothing.
    drop(bench);
    let bench = Bench::with(clock(DAYS + 5), path(), &services);
    assert_eq!(bench.service().conditions, None);
    bench.run("api/http", DAYS + 7, None);
    assert_eq!((bench.service().status, bench.down()), (Status::Up, Some(0.0)));
    bench.run("db/tcp", DAYS + 7, REFUSED);
    let db = bench.store.snapshot().services.remove(1);
    assert_eq!((db.status, db.status_changes), (Status::Down, 0));
    assert_eq!(db.conditions, Some([1_000_009.0, 1_000_009.0, 0.0]));
}

#[test]
fn what_a_check_that_seldom_runs_found_is_told_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let mut seldom = check("http");
    seldom.interval = Duration::from_secs(3600);
    seldom.recheck_interval = Duration::from_secs(3600);
    let services = config(vec![("api", vec![seldom])]);
    let bench = Bench::with(clock(0), path(), &services);
    bench.run("api/http", 10, REFUSED);
    drop(bench);
    let bench = Bench::with(clock(3000), path(), &services);
    assert_eq!((bench.service().status, bench.down()), (Status::Down, Some(9.0)));
}

#[test]
fn a_since_time_in_the_future_becomes_now() {
    let dir = tempfile::tempdir().unwrap();
    let path = || Some(dir.path().to_owned());
    let services = config(vec![("api", vec![check("http")])]);
    let bench = Bench::with(clock(5000), path(), &services);
    bench.run("api/http", 5010, REFUSED);
    drop(bench);
    let bench = Bench::with(clock(100), path(), &services);
    assert_eq!(bench.down(), Some(100.0));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile.
fn logged(doing: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, doing);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn the_log_has_a_line_a_change_not_a_line_a_run() {
    let text = logged(|| {
        let bench = Bench::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
        bench.run("api/tcp", 1, None);
        for second in 0..300 {
            let failed = (100..200).contains(&second);
            bench.run("api/http", 10 + 5 * second, failed.then_some(Reason::Refused));
            bench.run("api/tcp", 10 + 5 * second, None);
        }
        for second in 2000..2003 {
            bench.run("api/http", second, REFUSED);
            bench.run("api/tcp", second, REFUSED);
        }
    });
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    let expected = [
        "status changed service=api old=up new=down check=\"http\" reason=refused",
        "status changed service=api old=down new=up since=1970-01-12T14:",
        "status changed service=api old=up new=down check=\"http\" reason=refused",
        "check has a problem service=api check=tcp status=down reason=refused",
    ];
    let told: Vec<&&str> = lines.iter().filter(|line| !line.contains("unknown")).collect();
    assert_eq!(told.len(), expected.len(), "{text}");
    for (line, start) in told.iter().zip(expected) {
        assert!(
            line.contains(start.split_once(' ').unwrap().1),
            "{line} is not {start}"
        );
    }
    assert!(
        text.contains("problem=\"refused it was\"") && text.contains("since=1970-01-12T13:55:09.000Z"),
        "{text}"
    );
}

#[test]
fn a_problem_that_became_another_too_soon_is_told_later() {
    let text = logged(|| {
        let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
        for (from, to, reason) in [
            (0, 100, Reason::Auth),
            (100, 105, Reason::Timeout),
            (105, 300, Reason::Auth),
        ] {
            for second in from..to {
                bench.run("api/http", second, Some(reason));
            }
        }
    });
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("reason=")?.1.split(' ').next())
        .collect();
    assert_eq!(told, ["auth", "timeout", "auth"], "{text}");
}

#[test]
fn subscribers_are_told_each_change_of_a_status_and_what_they_missed() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    let mut events = bench.store.subscribe();
    bench.run("api/http", 5, None);
    bench.run("api/http", 6, None);
    bench.run("api/http", 7, REFUSED);
    let first = events.try_recv().unwrap();
    assert_eq!(
        (first.old, first.new, first.check),
        (Status::Unknown, Status::Up, None)
    );
    let second = events.try_recv().unwrap();
    assert_eq!(
        (second.service.as_str(), second.old, second.new),
        ("api", Status::Up, Status::Down)
    );
    assert_eq!(
        (second.since, second.check.unwrap().as_str()),
        (1_000_006.0, "http")
    );
    assert_eq!(second.problem.unwrap().message(), "refused it was");
    assert!(events.try_recv().is_err());

    // A recovery takes two runs, so three runs make two changes.
    let changes = i64::try_from(STATUS_EVENTS).unwrap() + 4;
    for second in 0..changes / 2 * 3 {
        bench.run(
            "api/http",
            10 + second,
            (second % 3 == 2).then_some(Reason::Refused),
        );
    }
    let lost = events.try_recv().unwrap_err();
    assert_eq!(lost, broadcast::error::TryRecvError::Lagged(4));
    assert_eq!(events.len(), STATUS_EVENTS);
}

#[test]
fn the_last_runs_are_told_by_check_and_no_part_of_a_snapshot() {
    let bench = Bench::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
    assert!(bench.store.recent_runs("ap").is_none());
    assert_eq!(bench.store.recent_runs("api").unwrap(), [Vec::new(), Vec::new()]);
    for second in 1..=12 {
        bench.run("api/tcp", second, (second == 12).then_some(Reason::Tls));
    }
    let runs = bench.store.recent_runs("api").unwrap();
    assert_eq!((runs[0].len(), runs[1].len()), (0, RECENT_RUNS));
    assert_eq!((runs[1][0].ended, runs[1][9].ended), (1_000_012.0, 1_000_003.0));
    assert_eq!(runs[1][0].problem.as_ref().unwrap().message(), "tls it was");
}
