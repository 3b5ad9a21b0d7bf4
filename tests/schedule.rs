//! The scheduler with paused time and scripted checks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::child::stderr_of_child;
use common::clock::TokioClock;
use common::config::{each, process, tcp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use upkeep_exporter::config::{CheckSettings, Config, Service};
use upkeep_exporter::model::{Conclusion, Problem, Reason, Report, ServiceKey, Status};
use upkeep_exporter::runner::Runnable;
use upkeep_exporter::schedule::Scheduler;
use upkeep_exporter::store::{CheckView, Snapshot, Store};

/// What a scripted run does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Succeeds after this time, which is its response time.
    Answer(Duration),
    /// Fails after this time.
    Refuse(Duration),
    Hang,
    Panic,
    /// Hangs, and panics when it is cancelled.
    HangAndPanic,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const QUICK: Act = Act::Answer(ms(2));

type Plan = dyn Fn(usize) -> Act + Send + Sync;

/// The script of a check, and a record of its runs.
struct Script {
    plan: Box<Plan>,
    starts: Mutex<Vec<Instant>>,
    built: AtomicUsize,
    running: AtomicUsize,
    has_overlapped: AtomicBool,
    wakeup: Arc<Notify>,
}

impl Script {
    fn starts(&self) -> Vec<Instant> {
        self.starts.lock().unwrap().clone()
    }

    /// The times between starts.
    fn gaps(&self) -> Vec<Duration> {
        self.starts().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as scripted");
    }
}

struct Scripted(Arc<Script>);

impl Runnable for Scripted {
    async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let number = {
            let mut starts = self.0.starts.lock().unwrap();
            starts.push(Instant::now());
            starts.len() - 1
        };
        // A failed assertion here would count as a failure of the check.
        let others = self.0.running.fetch_add(1, Ordering::SeqCst);
        self.0.has_overlapped.fetch_or(others > 0, Ordering::SeqCst);
        let _running = Running(&self.0.running);
        report.step = "waiting for the answer".into();
        match (self.0.plan)(number) {
            Act::Answer(time) => {
                sleep(time).await;
                report.response_time = Some(time);
                Ok(())
            }
            Act::Refuse(time) => {
                sleep(time).await;
                Err(Problem::new(Reason::Refused, "refused"))
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("as scripted"),
            Act::HangAndPanic => {
                let _bomb = Bomb;
                std::future::pending().await
            }
        }
    }

    fn wakeup(&self) -> Option<Arc<Notify>> {
        Some(self.0.wakeup.clone())
    }
}

/// A scheduler whose checks follow the script of their name.
struct Stage {
    scheduler: Scheduler,
    store: Arc<Store>,
    scripts: HashMap<String, Arc<Script>>,
    zero: Instant,
}

impl Stage {
    fn new(scripts: Vec<(&str, Box<Plan>)>) -> Self {
        let scripts: HashMap<String, Arc<Script>> = scripts
            .into_iter()
            .map(|(name, plan)| {
                let script = Script {
                    plan,
                    starts: Mutex::default(),
                    built: AtomicUsize::new(0),
                    running: AtomicUsize::new(0),
                    has_overlapped: AtomicBool::new(false),
                    wakeup: Arc::default(),
                };
                (name.to_owned(), Arc::new(script))
            })
            .collect();
        let clock = TokioClock::new();
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        let of_builder = scripts.clone();
        let scheduler = Scheduler::with_build(store.clone(), clock, move |settings: &Arc<CheckSettings>| {
            let script = of_builder[settings.name.as_str()].clone();
            let built = script.built.fetch_add(1, Ordering::SeqCst);
            assert!(
                built > 0 || settings.name.as_str() != "hard_to_build",
                "as scripted"
            );
            Scripted(script)
        });
        Self {
            scheduler,
            store,
            scripts,
            zero: Instant::now(),
        }
    }

    /// A running scheduler with one check.
    fn one(check: CheckSettings, plan: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        let stage = Self::new(vec![(check.name.as_str(), Box::new(plan))]);
        stage.scheduler.apply(&each(vec![check]));
        stage
    }

    fn script(&self, name: &str) -> &Script {
        &self.scripts[name]
    }

    fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn check(&self) -> CheckView {
        self.snapshot().services.remove(0).checks.remove(0)
    }

    async fn until(&self, time: Duration) {
        sleep_until(self.zero + time).await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let overlapped = |script: &Arc<Script>| script.has_overlapped.load(Ordering::SeqCst);
        if !std::thread::panicking() {
            assert!(
                !self.scripts.values().any(overlapped),
                "two runs of a check at once"
            );
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// The resolution of tokio's timers.
const GRAIN: Duration = ms(1);

#[track_caller]
fn assert_near(measured: Duration, expected: Duration) {
    assert!(
        measured.abs_diff(expected) <= GRAIN,
        "{measured:?} is not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn ticks_do_not_drift() {
    // Runs of very different length, and ticks that are not at full milliseconds.
    let stage = Stage::one(tcp("a"), |run| {
        Act::Answer(Duration::from_micros((run as u64 * 7919) % 900_000))
    });
    stage.until(12 * HOUR).await;
    let starts = stage.script("a").starts();
    assert!((2880..=2881).contains(&starts.len()), "{}", starts.len());
    for (number, start) in (0..).zip(&starts[1..]) {
        assert_near(*start - starts[1], 15 * SECOND * number);
    }
    let snapshot = stage.snapshot();
    assert_eq!(snapshot.services[0].checks[0].missed_runs, 0);
    let lag = snapshot.exporter.scheduler_lag;
    assert_eq!(
        (lag.count(), lag.counts[0]),
        (starts.len() as u64, starts.len() as u64)
    );
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_checks_are_spread_and_none_is_missed() {
    let names: Vec<String> = (0..10_000).map(|number| format!("service-{number}")).collect();
    let stage = Stage::new(
        names
            .iter()
            .map(|name| (name.as_str(), Box::new(|_| QUICK) as _))
            .collect(),
    );
    stage
        .scheduler
        .apply(&each(names.iter().map(|name| tcp(name)).collect()));
    stage.until(61 * SECOND).await;
    let snapshot = stage.snapshot();
    assert!(snapshot.exporter.is_first_round_over);
    let mut first_runs = [0; 50];
    let mut ticks = [0; 150];
    for view in &snapshot.services {
        let check = &view.checks[0];
        assert!((4..=6).contains(&check.runs), "{} runs", check.runs);
        assert_eq!((check.missed_runs, view.status), (0, Status::Up));
        let starts = stage.script(check.settings.name.as_str()).starts();
        first_runs[((starts[0] - stage.zero).as_millis() as usize / 100).min(49)] += 1;
        ticks[(starts[2] - stage.zero).as_millis() as usize % 15_000 / 100] += 1;
    }
    assert!(
        first_runs.iter().all(|count| (120..300).contains(count)),
        "{first_runs:?}"
    );
    assert!(ticks.iter().all(|count| (25..120).contains(count)), "{ticks:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_hanging_targets_delay_no_other_check_and_stop_at_once() {
    let names: Vec<String> = (0..10_000).map(|number| format!("service-{number}")).collect();
    let mut scripts: Vec<(&str, Box<Plan>)> = names
        .iter()
        .map(|name| (name.as_str(), Box::new(|_| Act::Hang) as _))
        .collect();
    scripts.push(("fine", Box::new(|_| QUICK)));
    let stage = Stage::new(scripts);
    let mut checks: Vec<CheckSettings> = names.iter().map(|name| tcp(name)).collect();
    checks.push(tcp("fine"));
    stage.scheduler.apply(&each(checks));
    stage.until(5 * SECOND + 2 * GRAIN).await;
    let snapshot = stage.snapshot();
    assert_eq!(snapshot.exporter.runs_in_flight, 10_000);
    assert!(!snapshot.exporter.is_first_round_over);
    stage.until(60 * SECOND).await;
    let snapshot = stage.snapshot();
    assert!(snapshot.exporter.is_first_round_over);
    let fine = &snapshot.services[10_000];
    assert_eq!((fine.status, fine.checks[0].missed_runs), (Status::Up, 0));
    assert!(
        snapshot.services[..10_000]
            .iter()
            .all(|view| view.status == Status::Down)
    );
    let lag = snapshot.exporter.scheduler_lag;
    assert_eq!(lag.counts[0], lag.count());
    stage.scheduler.stop().await;
    assert_eq!(stage.snapshot().exporter.runs_in_flight, 0);
    let running = |script: &Arc<Script>| script.running.load(Ordering::SeqCst);
    assert_eq!(stage.scripts.values().map(running).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_at_its_deadline() {
    let stage = Stage::one(tcp("a"), |_| Act::Hang);
    stage.until(40 * SECOND).await;
    for gap in stage.script("a").gaps() {
        assert_near(gap, 10 * SECOND);
    }
    let check = stage.check();
    let last = check.last_run.unwrap();
    let Conclusion::Failure(problem) = &last.outcome.conclusion else {
        panic!("{last:?}");
    };
    assert_eq!(problem.reason, Reason::Timeout);
    assert_eq!(
        problem.message(),
        "timed out after 10s while waiting for the answer"
    );
    assert_eq!(last.outcome.response_time, Some(10 * SECOND));
    assert_eq!(check.response_times.unwrap().counts[8], check.runs);
    assert_eq!(stage.script("a").built.load(Ordering::SeqCst), 1);
    let slow = stage.snapshot().services[0].conditions.unwrap()[2];
    assert!(slow > 0.0, "a timeout past the limit is slow");
}

#[tokio::test(start_paused = true)]
async fn kinds_without_response_time_have_none_at_their_deadline() {
    let stage = Stage::one(process("a"), |_| Act::Hang);
    stage.until(20 * SECOND).await;
    let check = stage.check();
    assert_eq!(check.last_run.unwrap().outcome.response_time, None);
    assert!(check.response_times.is_none());
}

#[tokio::test(start_paused = true)]
async fn ticks_during_a_run_are_missed() {
    let mut check = tcp("a");
    check.timeout = 100 * SECOND;
    check.thresholds.degraded = 200 * SECOND;
    check.thresholds.down = 300 * SECOND;
    let stage = Stage::one(check, |run| {
        Act::Answer(if run == 1 { 40 * SECOND } else { ms(1) })
    });
    stage.until(120 * SECOND).await;
    assert_eq!(stage.check().missed_runs, 2);
    let gaps = stage.script("a").gaps();
    assert_near(gaps[1], 45 * SECOND);
    assert_near(gaps[2], 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failing_check_runs_more_often_until_its_recovery_is_confirmed() {
    let stage = Stage::one(tcp("a"), |run| match run {
        3..=6 => Act::Refuse(ms(300)),
        _ => Act::Answer(ms(300)),
    });
    stage.until(120 * SECOND).await;
    let starts = stage.script("a").starts();
    let gaps = stage.script("a").gaps();
    // Run 2 succeeds, run 3 fails, run 7 is the first success, run 8 confirms it.
    assert_near(gaps[2], 15 * SECOND);
    for gap in &gaps[3..8] {
        assert_near(*gap, 5 * SECOND);
    }
    // The check is back on its ticks, which have not moved.
    let back = (starts[9] - starts[1]).as_millis() % 15_000;
    assert!(!(2..14_999).contains(&back), "{back} ms off the tick");
    assert_near(gaps[9], 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_check_runs_at_its_ticks() {
    let stage = Stage::one(tcp("a"), |_| Act::Answer(2 * SECOND));
    stage.until(120 * SECOND).await;
    assert_eq!(stage.check().status, Status::Degraded);
    for gap in &stage.script("a").gaps()[1..] {
        assert_near(*gap, 15 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_runs_early_on_request_but_not_too_often() {
    let mut check = process("a");
    check.interval = 60 * SECOND;
    let stage = Stage::one(check, |_| QUICK);
    let script = stage.script("a");
    stage.until(121 * SECOND).await;
    let before = script.starts().len();
    let requested = Instant::now();
    script.wakeup.notify_one();
    sleep(ms(5)).await;
    assert_near(script.starts()[before] - requested, Duration::ZERO);

    // Many requests for a second: a run every 50 ms, and one after the last request.
    let mut last = Instant::now();
    for _ in 0..200 {
        last = Instant::now();
        script.wakeup.notify_one();
        sleep(ms(5)).await;
    }
    sleep(ms(200)).await;
    let starts = script.starts();
    assert!(
        (19..=22).contains(&(starts.len() - before - 1)),
        "{} runs",
        starts.len() - before
    );
    assert!(*starts.last().unwrap() >= last, "the last request was lost");
    let early = &starts[before..];
    assert!(early.windows(2).all(|pair| pair[1] - pair[0] >= ms(49)));

    // The ticks have not moved.
    stage.until(250 * SECOND).await;
    let later = script.starts()[starts.len()..].to_vec();
    let off = (later[0] - starts[1]).as_millis() % 60_000;
    assert!(!(2..59_999).contains(&off), "{off} ms off the tick");
    assert_eq!(stage.check().missed_runs, 0);
}

/// A unit that is down starts and fails again within a second. Then it starts and stays up, with signals.
#[tokio::test(start_paused = true)]
async fn requested_runs_neither_end_an_outage_nor_delay_its_end() {
    let works = Arc::new(AtomicBool::new(false));
    let of_plan = works.clone();
    let mut check = process("a");
    check.interval = 60 * SECOND;
    let stage = Stage::one(check, move |_| match of_plan.load(Ordering::SeqCst) {
        true => QUICK,
        false => Act::Refuse(ms(2)),
    });
    let script = stage.script("a");
    let request = async |after: Duration| {
        sleep(after).await;
        script.wakeup.notify_one();
        sleep(ms(60)).await;
    };
    stage.until(61 * SECOND).await;
    let since = stage.check().status_since;
    works.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        request(Duration::ZERO).await;
        assert_eq!(stage.check().status, Status::Down);
    }
    works.store(false, Ordering::SeqCst);
    request(Duration::ZERO).await;
    let check = stage.check();
    assert_eq!((check.status, check.status_since), (Status::Down, since));

    works.store(true, Ordering::SeqCst);
    let before = script.starts().len();
    request(Duration::ZERO).await;
    request(2 * SECOND).await;
    request(2 * SECOND).await;
    let starts = script.starts();
    assert!(starts.len() >= before + 3);
    let ends = starts[before] + 5 * SECOND;
    sleep_until(ends - ms(10)).await;
    assert_eq!(stage.check().status, Status::Down);
    sleep_until(ends + ms(10)).await;
    assert_eq!(
        stage.check().status,
        Status::Up,
        "a requested run delays no recovery"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_during_a_run_causes_a_run_after_it() {
    let mut check = process("a");
    check.interval = 600 * SECOND;
    let stage = Stage::one(check, |_| Act::Answer(SECOND));
    let script = stage.script("a");
    while script.starts().len() < 2 {
        sleep(ms(100)).await;
    }
    sleep(ms(500)).await;
    assert_eq!(script.running.load(Ordering::SeqCst), 1);
    script.wakeup.notify_one();
    sleep(2 * SECOND).await;
    assert_eq!(script.starts().len(), 3);
    assert_near(script.gaps()[1], SECOND);
    sleep(60 * SECOND).await;
    assert_eq!(script.starts().len(), 3, "one request causes one run");
}

/// Otherwise the page of the failing service would start before the status of the root cause is known.
#[tokio::test(start_paused = true)]
async fn when_a_service_fails_its_dependencies_are_checked_at_once() {
    const FAILS: usize = 10;
    let quick = |_| QUICK;
    let stage = Stage::new(vec![
        ("db", Box::new(quick) as Box<Plan>),
        ("other", Box::new(quick)),
        ("web", Box::new(quick)),
        (
            "api",
            Box::new(|run| if run < FAILS { QUICK } else { Act::Refuse(ms(1)) }),
        ),
    ]);
    let rare = |name| CheckSettings {
        interval: HOUR,
        ..tcp(name)
    };
    let mut config = each(vec![rare("db"), rare("other"), rare("web"), tcp("api")]);
    let depend = |config: &mut Config, service: usize, on: &str| {
        config.services[service] = Arc::new(Service {
            depends_on: vec![ServiceKey::new(on)],
            ..Service::clone(&config.services[service])
        });
    };
    depend(&mut config, 2, "db");
    depend(&mut config, 3, "web");
    stage.scheduler.apply(&config);
    stage.until(600 * SECOND).await;
    let failed = stage.script("api").starts()[FAILS] + ms(1);
    for (name, runs) in [("web", 1), ("db", 1), ("other", 0)] {
        let starts = stage.script(name).starts();
        let at_once = starts
            .iter()
            .filter(|start| start.saturating_duration_since(failed - GRAIN) <= 2 * GRAIN);
        let at_once = at_once.filter(|start| **start + GRAIN >= failed);
        assert_eq!(at_once.count(), runs, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_affect_unchanged_checks() {
    let quick = || Box::new(|_| QUICK) as Box<Plan>;
    let stage = Stage::new(vec![
        ("same", quick()),
        ("edited", quick()),
        ("gone", Box::new(|_| Act::Hang)),
        ("new", quick()),
    ]);
    stage
        .scheduler
        .apply(&each(vec![tcp("same"), tcp("edited"), tcp("gone")]));
    stage.until(Duration::from_millis(100_250)).await;
    let running = || stage.script("gone").running.load(Ordering::SeqCst);
    assert_eq!(running(), 1);
    let mut edited = tcp("edited");
    edited.interval = 20 * SECOND;
    stage
        .scheduler
        .apply(&each(vec![tcp("new"), edited, tcp("same")]));
    sleep(GRAIN).await;
    assert_eq!((running(), stage.snapshot().exporter.runs_in_flight), (0, 0));
    stage.until(200 * SECOND).await;
    for gap in &stage.script("same").gaps()[1..] {
        assert_near(*gap, 15 * SECOND);
    }
    let built = |name: &str| stage.script(name).built.load(Ordering::SeqCst);
    assert_eq!(
        (built("same"), built("edited"), built("new"), built("gone")),
        (1, 2, 1, 1)
    );
    let first = stage.script("new").starts()[0] - stage.zero;
    assert!(first >= 100 * SECOND && first < 106 * SECOND, "{first:?}");
    let snapshot = stage.snapshot();
    let names: Vec<&str> = snapshot
        .services
        .iter()
        .map(|view| view.service.key.as_str())
        .collect();
    assert_eq!(names, ["new", "edited", "same"]);
    stage.scheduler.apply(&Config::default());
    sleep(60 * SECOND).await;
    assert_eq!(stage.script("same").gaps().len(), 13);
}

#[tokio::test(start_paused = true)]
async fn the_phase_is_the_same_after_a_restart() {
    let mut phases = Vec::new();
    for _ in 0..2 {
        let stage = Stage::one(tcp("a"), |_| QUICK);
        stage.until(60 * SECOND).await;
        let start = stage.script("a").starts()[2];
        phases.push((start - stage.zero).as_millis());
        stage.scheduler.stop().await;
    }
    assert_eq!(phases[0], phases[1]);
}

#[tokio::test(start_paused = true)]
async fn process_checks_of_one_interval_run_together() {
    let quick = || Box::new(|_| QUICK) as Box<Plan>;
    let stage = Stage::new(vec![("a", quick()), ("b", quick())]);
    stage.scheduler.apply(&each(vec![process("a"), process("b")]));
    stage.until(100 * SECOND).await;
    assert_eq!(stage.script("a").starts(), stage.script("b").starts());
}

#[test]
fn a_panic_is_the_failure_of_one_run_and_prints_nothing() {
    match stderr_of_child("a_panic_is_the_failure_of_one_run_and_prints_nothing") {
        None => panicking_check(),
        Some(printed) => assert!(!printed.contains("as scripted"), "{printed}"),
    }
}

fn panicking_check() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::one(tcp("a"), |run| if run == 1 { Act::Panic } else { QUICK });
        while stage.check().failures == 0 {
            sleep(ms(10)).await;
        }
        let check = stage.check();
        let problem = check.problem.unwrap();
        assert_eq!((check.status, problem.reason), (Status::Down, Reason::Internal));
        assert!(problem.message().contains("as scripted"), "{problem}");
        assert!(problem.message().contains("tests/schedule.rs:"), "{problem}");
        sleep(60 * SECOND).await;
        assert_eq!(stage.check().status, Status::Up);
        assert_eq!(stage.script("a").built.load(Ordering::SeqCst), 2, "rebuilt once");

        for (name, act, reason) in [
            ("hard_to_build", QUICK, Reason::Internal),
            ("hard_to_cancel", Act::HangAndPanic, Reason::Timeout),
        ] {
            let stage = Stage::one(tcp(name), move |run| if run == 0 { act } else { QUICK });
            while stage.check().runs == 0 {
                sleep(ms(10)).await;
            }
            let reason_found = stage.check().problem.map(|problem| problem.reason);
            assert_eq!(reason_found, Some(reason), "{name}");
            sleep(60 * SECOND).await;
            assert_eq!(stage.check().status, Status::Up, "{name}");
            assert_eq!(stage.script(name).built.load(Ordering::SeqCst), 2, "{name}");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn liveness_detects_a_stopped_scheduler() {
    let stage = Stage::one(tcp("a"), |_| Act::Hang);
    stage.until(30 * SECOND).await;
    assert!(stage.scheduler.liveness().is_alive());
    stage.scheduler.stop().await;
    tokio::time::advance(7 * SECOND).await;
    assert!(
        !stage.scheduler.liveness().is_alive(),
        "{:?}",
        stage.scheduler.liveness()
    );
}

/// The CPU time of each step of a run.
const STEP: Duration = Duration::from_micros(150);

/// A run with several steps and waits between them, like one that talks to a server.
struct Busy;

impl Runnable for Busy {
    async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let begun = Instant::now();
        for _ in 0..4 {
            let step = std::time::Instant::now();
            while step.elapsed() < STEP {
                std::hint::spin_loop();
            }
            sleep(ms(1)).await;
        }
        report.response_time = Some(begun.elapsed());
        Ok(())
    }

    fn wakeup(&self) -> Option<Arc<Notify>> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn overload_makes_runs_late_instead_of_failing_them() {
    let clock = TokioClock::new();
    let (store, _) = Store::open(clock.clone(), None).unwrap();
    let scheduler = Scheduler::with_build(store.clone(), clock, |_: &Arc<CheckSettings>| Busy);
    // More runs than one thread can do in a second, and more than it could finish before their deadlines if all started at once.
    let checks = (0..4000).map(|number| {
        let mut check = tcp(&format!("service-{number}"));
        check.interval = SECOND;
        check.timeout = 2 * SECOND;
        check
    });
    scheduler.apply(&each(checks.collect()));
    let begun = Instant::now();
    loop {
        sleep(SECOND).await;
        let snapshot = store.snapshot();
        let checks = || snapshot.services.iter().map(|service| &service.checks[0]);
        let failures: u64 = checks().map(|check| check.failures).sum();
        let missed: u64 = checks().map(|check| check.missed_runs).sum();
        let fewest = checks().map(|check| check.runs).min().unwrap();
        let most = checks().map(|check| check.runs).max().unwrap();
        let runs: u64 = checks().map(|check| check.runs).sum();
        // On a busy machine some may fail. Without a gate nearly all fail.
        assert!(failures * 20 <= runs, "{failures} of {runs} runs failed");
        // Runs start in planned order, so no check is starved.
        assert!(most <= fewest + 2, "{fewest} to {most} runs each");
        let elapsed = begun.elapsed();
        if fewest >= 2 && elapsed >= 5 * SECOND {
            assert!(missed > 0, "there is room for {fewest} to {most} runs each");
            break;
        }
        assert!(elapsed < 120 * SECOND, "{fewest} to {most} runs each");
    }
    scheduler.stop().await;
}
