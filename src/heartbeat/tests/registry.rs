//! Tests of the registry: tokens, limits, texts, reloads, restarts and the file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;

use super::{EPOCH, TestClock};
use crate::config::heartbeat::HeartbeatSettings;
use crate::config::{Config, KindSettings, parse};
use crate::heartbeat::{Accepted, Beat, Evaluation, Heartbeats, Refusal, Verdict};
use crate::model::{BeatKind, JobState, Reason};
use crate::state_dir::StateDir;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn config(services: &[(&str, &str)]) -> Config {
    let services = services.iter().map(|(key, keys)| {
        format!("  - {{ key: {key}, checks: [{{ kind: heartbeat, grace: 1m, {keys} }}] }}\n")
    });
    let text = format!("services:\n{}", services.collect::<String>());
    parse(&text, "test.yml").unwrap().config
}

fn hourly(token: &str) -> String {
    format!("token: {token}, every: 1h")
}

fn settings(config: &Config, position: usize) -> &HeartbeatSettings {
    match &config.services[position].checks[0].kind {
        KindSettings::Heartbeat(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn beat(kind: BeatKind) -> Beat {
    Beat {
        kind,
        exit_status: None,
        run_id: None,
    }
}

/// A registry with one job, and its clock.
struct Setup {
    clock: Arc<TestClock>,
    heartbeats: Heartbeats,
    config: Config,
}

impl Setup {
    fn new(dir: Option<&Path>) -> Self {
        let clock = TestClock::new();
        let config = config(&[("job", &hourly(TOKEN))]);
        let heartbeats = open(&clock, dir);
        heartbeats.apply(&config);
        Self {
            clock,
            heartbeats,
            config,
        }
    }

    fn send(&self, kind: BeatKind) -> Accepted {
        self.heartbeats.receive(TOKEN, beat(kind)).unwrap()
    }

    /// Lets time pass, with the ticks of the timekeeper.
    fn pass(&self, seconds: std::ops::RangeInclusive<i64>) {
        for second in seconds {
            self.clock.set(second);
            self.heartbeats.tick();
        }
    }

    fn evaluate(&self) -> Evaluation {
        self.heartbeats.evaluate(settings(&self.config, 0), None)
    }

    fn state(&self) -> JobState {
        self.evaluate().assessment.state
    }

    /// Stops this process and starts the next one.
    fn restart(self, dir: &Path) -> Self {
        let heartbeats = open(&self.clock, Some(dir));
        heartbeats.apply(&self.config);
        Self { heartbeats, ..self }
    }
}

fn open(clock: &Arc<TestClock>, dir: Option<&Path>) -> Heartbeats {
    let clock: Arc<TestClock> = Arc::clone(clock);
    let (heartbeats, warning) = Heartbeats::open(clock, dir.map(|dir| StateDir::new(dir.to_owned())));
    assert_eq!(warning, None);
    heartbeats
}

#[test]
fn a_beat_needs_the_token_of_one_check() {
    let setup = Setup::new(None);
    for wrong in ["", "x", &TOKEN[1..], &format!("{TOKEN}0"), OTHER] {
        let refused = setup.heartbeats.receive(wrong, beat(BeatKind::Success));
        assert_eq!(refused, Err(Refusal::UnknownToken), "{wrong}");
    }
    assert_eq!(setup.state(), JobState::New);
    setup.send(BeatKind::Start);
    assert_eq!(setup.state(), JobState::Running);
    setup.send(BeatKind::Success);
    assert_eq!(setup.state(), JobState::Up);
    setup.send(BeatKind::Fail);
    assert_eq!(setup.state(), JobState::Failed);
    let evaluation = setup.evaluate();
    assert_eq!(evaluation.counts, [1, 1, 1]);
    assert_eq!(evaluation.view.last_success, Some(EPOCH as f64));
    assert_eq!(
        evaluation.assessment.verdict,
        Verdict::Down(Reason::Status, "the job reported a failure".to_owned())
    );
    let refused = [("unknown_token", 5), ("rate_limit", 0)];
    assert_eq!(setup.heartbeats.refused().unwrap(), refused);
}

#[test]
fn a_job_can_not_use_up_the_limit_of_another_one() {
    let (clock, both) = (
        TestClock::new(),
        config(&[("a", &hourly(TOKEN)), ("b", &hourly(OTHER))]),
    );
    let heartbeats = open(&clock, None);
    heartbeats.apply(&both);
    let send = |token: &str| heartbeats.receive(token, beat(BeatKind::Success));
    let allowed = (0..1000).filter(|_| send(TOKEN).is_ok()).count();
    assert_eq!(allowed, 20);
    assert!(matches!(send(TOKEN), Err(Refusal::RateLimit(_))));
    assert!(send(OTHER).is_ok());
    clock.set(1);
    assert!(send(TOKEN).is_ok() && send(TOKEN).is_err());
    assert_eq!(heartbeats.refused().unwrap()[1], ("rate_limit", 982));
}

#[test]
fn a_token_of_two_checks_counts_for_none_and_both_know() {
    let (clock, both) = (
        TestClock::new(),
        config(&[("a", &hourly(TOKEN)), ("b", &hourly(OTHER))]),
    );
    let heartbeats = open(&clock, None);
    heartbeats.apply(&both);
    // The file of the second token now has the first one.
    let twin = |position, token| heartbeats.evaluate(settings(&both, position), Some(token)).twin;
    assert_eq!(twin(1, TOKEN).unwrap().service.as_str(), "a");
    assert_eq!(twin(0, TOKEN).unwrap().service.as_str(), "b");
    assert!(heartbeats.receive(TOKEN, beat(BeatKind::Success)).is_err());
    assert_eq!(twin(1, OTHER), None);
    assert!(heartbeats.receive(TOKEN, beat(BeatKind::Success)).is_ok());
    assert!(heartbeats.receive(OTHER, beat(BeatKind::Success)).is_ok());
}

#[test]
fn a_reload_keeps_jobs_except_removed_ones() {
    let setup = Setup::new(None);
    setup.send(BeatKind::Success);
    setup.clock.set(100);
    // Another schedule and another token: the beats stay.
    let changed = config(&[("job", &format!("token: {OTHER}, every: 5m"))]);
    setup.heartbeats.apply(&changed);
    assert!(setup.heartbeats.receive(TOKEN, beat(BeatKind::Fail)).is_err());
    let evaluation = setup.heartbeats.evaluate(settings(&changed, 0), Some(OTHER));
    assert_eq!(evaluation.view.last_success, Some(EPOCH as f64));
    assert_eq!(evaluation.view.due, Some(EPOCH as f64 + 300.0));
    setup.heartbeats.receive(OTHER, beat(BeatKind::Success)).unwrap();
    setup.heartbeats.apply(&config(&[("other", &hourly(OTHER))]));
    setup.heartbeats.apply(&setup.config);
    assert_eq!(setup.state(), JobState::New);
    assert!(setup.heartbeats.receive(OTHER, beat(BeatKind::Success)).is_err());
}

#[test]
fn the_message_of_a_failure_ends_with_its_last_line_without_tokens() {
    let setup = Setup::new(None);
    let mut failed = beat(BeatKind::Fail);
    failed.exit_status = Some(3);
    let accepted = setup.heartbeats.receive(TOKEN, failed).unwrap();
    let text = format!("curl http://h/api/heartbeat/{TOKEN}/start\r\n\u{1b}[31mno space left: {TOKEN}\n\n");
    setup.heartbeats.add_message(&accepted, TOKEN, text.as_bytes());
    let evaluation = setup.evaluate();
    let expected = "the job failed with exit status 3: [31mno space left: <secret>";
    assert_eq!(
        evaluation.assessment.verdict,
        Verdict::Down(Reason::Status, expected.to_owned())
    );
    let shown = &evaluation.view.beats[0].message;
    assert_eq!(
        shown,
        "curl http://h/api/heartbeat/<secret>/start\n [31mno space left: <secret>"
    );
    // A text that arrives after five newer beats is dropped.
    (0..5).for_each(|_| drop(setup.send(BeatKind::Success)));
    setup.heartbeats.add_message(&accepted, TOKEN, b"late");
    let beats = setup.evaluate().view.beats;
    assert!(beats.len() == 5 && beats.iter().all(|beat| beat.message.is_empty()));
}

#[test]
fn a_beat_and_a_due_time_request_a_run() {
    let setup = Setup::new(None);
    let id = settings(&setup.config, 0).id.clone().unwrap();
    let wakeup = setup.heartbeats.wakeup(&id).unwrap();
    let is_requested = || wakeup.notified().now_or_never().is_some();
    assert!(!is_requested());
    setup.send(BeatKind::Success);
    assert!(is_requested() && setup.state() == JobState::Up);
    let mut requested = Vec::new();
    for second in 1..=3700 {
        setup.clock.set(second);
        setup.heartbeats.tick();
        if is_requested() {
            requested.push(second);
            setup.state();
        }
    }
    assert_eq!(requested, [3600, 3660]);
}

#[test]
fn jobs_survive_a_restart_and_absence_excuses_a_missing_beat() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(Some(dir.path()));
    let accepted = setup.send(BeatKind::Start);
    setup
        .heartbeats
        .add_message(&accepted, TOKEN, format!("with {TOKEN}").as_bytes());
    setup.clock.set(5);
    setup.send(BeatKind::Success);
    assert!(setup.heartbeats.tick());
    setup.heartbeats.save().unwrap();
    let text = fs::read_to_string(dir.path().join("heartbeats.json")).unwrap();
    assert!(text.contains("with <secret>") && !text.contains(TOKEN), "{text}");
    let before = setup.evaluate();
    setup.clock.set(6);
    setup = setup.restart(dir.path());
    let after = setup.evaluate();
    assert_eq!((&after.view, after.counts), (&before.view, before.counts));
    assert_eq!(after.last_run_time.unwrap().as_secs(), 5);
    // Down while the exporter does not run: the beat at 3605 may be lost.
    setup.clock.set(4000);
    setup = setup.restart(dir.path());
    assert_eq!(setup.state(), JobState::Up);
    setup.pass(4001..=4060);
    let late = setup.evaluate().assessment;
    assert_eq!(late.state, JobState::Late);
    let Verdict::Degraded(_, message) = late.verdict else {
        panic!()
    };
    assert!(message.contains("while the exporter did not run"), "{message}");
    setup.pass(4061..=7205 + 60);
    assert_eq!(setup.state(), JobState::Down);
}

#[test]
fn the_file_is_written_after_changes_and_once_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::new(Some(dir.path()));
    assert!(setup.heartbeats.tick(), "the first configuration");
    setup.heartbeats.save().unwrap();
    let mut written = Vec::new();
    for second in 1..=130 {
        setup.clock.set(second);
        if second == 20 {
            setup.send(BeatKind::Success);
        }
        if setup.heartbeats.tick() {
            setup.heartbeats.save().unwrap();
            written.push(second);
        }
    }
    assert_eq!(written, [20, 80]);
}

#[test]
fn a_broken_file_is_set_aside() {
    for text in [
        "{",
        "{}",
        r#"{"format":"x","version":1,"alive":0,"away":[],"jobs":[]}"#,
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("heartbeats.json"), text).unwrap();
        let (_, warning) = Heartbeats::open(TestClock::new(), Some(StateDir::new(dir.path().to_owned())));
        let warning = warning.unwrap();
        assert!(
            warning.contains("can't be used") && warning.contains("all jobs count as new"),
            "{warning}"
        );
        assert!(dir.path().join("heartbeats.json.broken-1").exists());
    }
}

#[test]
fn without_heartbeat_checks_there_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let heartbeats = open(&TestClock::new(), Some(dir.path()));
    heartbeats.apply(&Config::default());
    heartbeats.flush();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(heartbeats.refused(), None);
}

#[test]
fn a_wall_clock_that_was_set_back_between_processes_hides_no_job_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(Some(dir.path()));
    setup.clock.set(100);
    setup.send(BeatKind::Success);
    setup.heartbeats.flush();
    setup.clock.set(200);
    setup.clock.step(-50_000);
    setup = setup.restart(dir.path());
    assert_eq!(setup.state(), JobState::Up);
    setup.pass(201..=200 + 3600 + 60);
    assert_eq!(setup.state(), JobState::Down);
}

#[test]
fn a_run_that_comes_before_the_first_tick_after_a_freeze_does_not_take_the_job_down() {
    let setup = Setup::new(None);
    setup.send(BeatKind::Success);
    setup.pass(1..=3500);
    // The beat at 3600 s is lost.
    setup.clock.set(5000);
    assert_eq!(setup.state(), JobState::Up);
    setup.pass(5001..=5060);
    assert_eq!(setup.state(), JobState::Late);
}

#[test]
fn a_wall_clock_that_skips_a_time_of_cron_does_not_take_the_job_down() {
    let clock = TestClock::new();
    let config = config(&[("job", &format!("token: {TOKEN}, cron: \"0 * * * *\""))]);
    let dir = tempfile::tempdir().unwrap();
    let heartbeats = open(&clock, Some(dir.path()));
    heartbeats.apply(&config);
    let mut setup = Setup {
        clock,
        heartbeats,
        config,
    };
    // 08:00 UTC.
    setup.send(BeatKind::Success);
    setup.pass(1..=3000);
    // From 08:50 to 09:10: a virtual machine was paused, or the clock was wrong at its start.
    setup.clock.step(1200);
    assert_eq!(setup.state(), JobState::Up);
    setup.pass(3001..=3059);
    assert_eq!(setup.state(), JobState::Up);
    setup.pass(3060..=3060);
    assert_eq!(setup.state(), JobState::Late);
    setup.heartbeats.flush();
    setup = setup.restart(dir.path());
    assert_eq!(setup.state(), JobState::Late);
    // 10:01.
    setup.pass(3061..=6059);
    assert_eq!(setup.state(), JobState::Late);
    setup.pass(6060..=6060);
    assert_eq!(setup.state(), JobState::Down);
}
