//! The old status monitor's vocabulary, for the readers of its document.
//!
//! Its verdict is that of the last run alone: the HTTP answer as expected, the port open and the unit active, as far as each is
//! configured. Processes are shown, but do not count, and slowness is no failure. Here each check counts that can take its
//! service down, of which kind ever: of an old file these are the old three and the container. What is not configured is
//! null. Where nothing is known (no run yet, or the last one too long ago) `ok` is false: the old format has no word for it.

use serde::Serialize;

use super::document::{Milliseconds, Time};
use crate::config::KindSettings;
use crate::model::{CheckKind, Conclusion, Outcome, Sample, Severity, Status};
use crate::store::{CheckView, ServiceView};

/// The families that the old vocabulary tells of.
const STATUS_CODE: &str = "upkeep_http_status_code";
const UNIT_STATE: &str = "upkeep_systemd_unit_state";
const PROCESSES: &str = "upkeep_processes";

/// What HTTP checks without a list of statuses are told to expect; they take any 2xx.
const USUAL_STATUS: u16 = 200;

/// Said in place of an error where there is no result.
const NO_RESULT: &str = "no recent result";

/// A service in the old vocabulary.
#[derive(Debug, Serialize)]
pub struct Legacy<'a> {
    /// The verdict.
    pub ok: bool,
    /// The service's first http check.
    pub http: Option<Http<'a>>,
    /// Its first tcp check.
    pub port: Option<Port<'a>>,
    /// Its first systemd check.
    pub systemd: Option<Systemd<'a>>,
    /// Its first process check.
    pub process: Option<Process<'a>>,
    /// When a check of the service last ran.
    pub last_checked: Option<Time>,
    /// Whether its unit was restarted.
    pub auto_restart_attempted: bool,
    /// What came of that.
    pub auto_restart_result: Option<&'a str>,
}

/// An HTTP answer.
#[derive(Debug, Serialize)]
pub struct Http<'a> {
    /// Whether it was as expected.
    pub ok: bool,
    /// Its status, if there was an answer.
    pub status_code: Option<u16>,
    /// How long it took.
    pub latency_ms: Option<Milliseconds>,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// The status it should have; of several, the first.
    pub expected_status: u16,
}

/// A port.
#[derive(Debug, Serialize)]
pub struct Port<'a> {
    /// Whether it is open.
    pub ok: bool,
    /// What went wrong.
    pub error: Option<&'a str>,
}

/// A unit.
#[derive(Debug, Serialize)]
pub struct Systemd<'a> {
    /// Its state; `unknown` where it could not be found out.
    pub state: &'a str,
    /// Whether it is active, or in a state that the configuration expects.
    pub ok: bool,
}

/// Processes.
#[derive(Debug, Serialize)]
pub struct Process<'a> {
    /// How many match.
    pub count: u64,
    /// Their ids, as far as kept.
    pub pids: &'a [u32],
}

/// The service in the old vocabulary.
pub fn legacy(view: &ServiceView) -> Legacy<'_> {
    let first = |kind| {
        let mut checks = view.checks.iter();
        checks.find(|check: &&CheckView| check.settings.kind.kind() == kind)
    };
    let http = first(CheckKind::Http).map(http);
    let port = first(CheckKind::Tcp).map(port);
    let systemd = first(CheckKind::Systemd).map(systemd);
    let critical = |check: &&CheckView| check.settings.severity == Severity::Critical;
    let mut counting = view.checks.iter().filter(critical).peekable();
    Legacy {
        ok: match counting.peek() {
            Some(_) => counting.all(is_ok),
            None => matches!(view.status, Status::Up | Status::Degraded),
        },
        http,
        port,
        systemd,
        process: first(CheckKind::Process).map(process),
        last_checked: view
            .checks
            .iter()
            .filter_map(|check| check.last_ended)
            .max_by(f64::total_cmp)
            .map(Time::new),
        auto_restart_attempted: false,
        auto_restart_result: None,
    }
}

/// Whether the last run of a check was as it should.
fn is_ok(view: &CheckView) -> bool {
    match view.settings.kind.kind() {
        CheckKind::Systemd => systemd(view).ok,
        _ => error(view).is_none(),
    }
}

/// The last run, unless it is too old to say anything.
fn recent(view: &CheckView) -> Option<&Outcome> {
    let run = view.last_run.as_ref()?;
    (view.status != Status::Unknown).then_some(&*run.outcome)
}

/// What the last run failed with. Between a restart and the first run after it, the status that lasted has the say.
fn error(view: &CheckView) -> Option<&str> {
    match (view.status, &view.last_run) {
        (Status::Unknown, _) => Some(NO_RESULT),
        (_, Some(run)) => match &run.outcome.conclusion {
            Conclusion::Failure(problem) => Some(problem.message()),
            Conclusion::Success | Conclusion::Warning(_) | Conclusion::Inconclusive(_) => None,
        },
        (Status::Up | Status::Degraded, None) => None,
        (Status::Down, None) => Some(
            view.problem
                .as_ref()
                .map_or(NO_RESULT, |problem| problem.message()),
        ),
    }
}

fn http(view: &CheckView) -> Http<'_> {
    let outcome = recent(view);
    let error = error(view);
    let expected = match &view.settings.kind {
        KindSettings::Http(settings) => settings.assertions.status_codes.first(),
        _ => None,
    };
    Http {
        ok: error.is_none(),
        status_code: outcome.and_then(status_code),
        latency_ms: outcome
            .and_then(|outcome| outcome.response_time)
            .map(Milliseconds),
        error,
        expected_status: expected.map_or(USUAL_STATUS, |code| code.as_u16()),
    }
}

/// The status of the answer; the sample is 0 where there was none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn status_code(outcome: &Outcome) -> Option<u16> {
    let code = samples(outcome, STATUS_CODE).next()?.value;
    (100.0..=999.0).contains(&code).then_some(code as u16)
}

fn port(view: &CheckView) -> Port<'_> {
    let error = error(view);
    Port {
        ok: error.is_none(),
        error,
    }
}

fn systemd(view: &CheckView) -> Systemd<'_> {
    let outcome = recent(view);
    let current = outcome.and_then(|outcome| {
        let mut states = samples(outcome, UNIT_STATE);
        states.find(|sample| sample.value > 0.0)?.labels.get(1)
    });
    let state = current.map_or("unknown", |state| state);
    Systemd {
        state,
        ok: match outcome {
            // Expected states are a success too; a unit that still starts only a warning.
            Some(outcome) => outcome.conclusion == Conclusion::Success || state == "active",
            None => view.status == Status::Up,
        },
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number of processes"
)]
fn process(view: &CheckView) -> Process<'_> {
    let outcome = recent(view);
    let count = outcome.and_then(|outcome| samples(outcome, PROCESSES).next());
    Process {
        count: count.map_or(0, |sample| sample.value as u64),
        pids: outcome.map_or(&[], |outcome| &outcome.pids),
    }
}

fn samples<'a>(outcome: &'a Outcome, family: &'static str) -> impl Iterator<Item = &'a Sample> {
    let samples = outcome.samples.iter();
    samples.filter(move |sample| sample.family.name == family)
}
