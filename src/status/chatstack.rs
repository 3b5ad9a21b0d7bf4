//! The fields of the ChatStack monitor in the status document, for existing readers.
//!
//! `http`, `port`, `systemd` and `process` are always objects with all of their fields. `ok`, `status_code`, `state` and
//! `count` are null if the part is not configured. If a configured part has no result (no run yet, or the last one is stale),
//! its `ok` is false, because the format has no value for unknown.
//!
//! The `ok` of a service depends on the last run of each check with `severity: critical`: HTTP as expected, the port open, the
//! unit active. A slow response is not a failure. If only some of the checks must work (`any_of`), so many must be ok.

use std::time::Duration;

use serde::Serialize;

use super::time::Time;
use crate::config::KindSettings;
use crate::config::http::HttpSettings;
use crate::model::{CheckKind, Conclusion, Outcome, Phase, Sample, Severity, Status};
use crate::store::{CheckView, ServiceView};

/// The families that the fields are read from.
const STATUS_CODE: &str = "upkeep_http_status_code";
const UNIT_STATE: &str = "upkeep_systemd_unit_state";
const PROCESSES: &str = "upkeep_processes";

/// The expected status if none is configured. HTTP checks without a list of statuses accept any 2xx.
const USUAL_STATUS: u16 = 200;

/// The error if there is no result.
const NO_RESULT: &str = "no recent result";

/// How long the document reports an action of healing. The monitor reported it until its next cycle, so readers could miss it.
const RECENT_RESTART: Duration = Duration::from_secs(15 * 60);

/// The ChatStack fields of a service.
#[derive(Debug, Serialize)]
pub struct ChatstackFields<'a> {
    /// Whether the service is ok.
    pub ok: bool,
    /// The service's first http check.
    pub http: Http<'a>,
    /// Its first tcp check. Without one, the port of its first http check.
    pub port: Port<'a>,
    /// Its first systemd check.
    pub systemd: Systemd<'a>,
    /// Its first process check.
    pub process: Process<'a>,
    /// When a check of the service last ran.
    pub last_checked: Option<Time>,
    /// Whether healing acted on it within the last 15 minutes.
    pub auto_restart_attempted: bool,
    /// The result of that action.
    pub auto_restart_result: Option<&'a str>,
}

/// An HTTP response.
#[derive(Debug, Serialize)]
pub struct Http<'a> {
    /// Whether it was as expected. `None` without an http check.
    pub ok: Option<bool>,
    /// Its status. `None` without a response.
    pub status_code: Option<u16>,
    /// The response time in whole milliseconds. Without a response, the duration of the run; 0 without a run.
    pub latency_ms: u64,
    /// The error; empty while ok.
    pub error: &'a str,
    /// The first expected status.
    pub expected_status: u16,
}

/// A TCP port.
#[derive(Debug, Default, Serialize)]
pub struct Port<'a> {
    /// Whether it is open. `None` if no check connects to a port.
    pub ok: Option<bool>,
    /// The error; empty while ok.
    pub error: &'a str,
}

/// A systemd unit.
#[derive(Debug, Default, Serialize)]
pub struct Systemd<'a> {
    /// Its state, `unknown` if it could not be read. `None` without a systemd check.
    pub state: Option<&'a str>,
    /// Whether it is active or in another expected state.
    pub ok: Option<bool>,
}

/// Processes.
#[derive(Debug, Default, Serialize)]
pub struct Process<'a> {
    /// How many match. `None` without a process check.
    pub count: Option<u64>,
    /// The ids of some of them.
    pub pids: &'a [u32],
}

/// Builds the ChatStack fields of a service. `taken` is the time of the snapshot.
pub fn chatstack_fields(view: &ServiceView, taken: f64) -> ChatstackFields<'_> {
    let first = |kind| {
        let mut checks = view.checks.iter();
        checks.find(|check: &&CheckView| check.settings.kind.kind() == kind)
    };
    let http_check = first(CheckKind::Http);
    let critical = |check: &&CheckView| check.settings.severity == Severity::Critical;
    let counting = view.checks.iter().filter(critical);
    let total = counting.clone().count();
    let required = view.service.any_of.unwrap_or(total);
    let restart = view.heal.as_ref().and_then(|heal| heal.last_action);
    let restart = restart.filter(|action| taken - action.at < RECENT_RESTART.as_secs_f64());
    ChatstackFields {
        ok: match total {
            1.. => counting.filter(|check| is_ok(check)).count() >= required,
            0 => matches!(view.status, Status::Up | Status::Degraded),
        },
        http: match http_check {
            Some(check) => http(check),
            None => no_http(),
        },
        port: match (first(CheckKind::Tcp), http_check) {
            (Some(tcp), _) => port(error(tcp)),
            (None, Some(http)) => port_of_url(http),
            (None, None) => Port::default(),
        },
        systemd: first(CheckKind::Systemd).map(systemd).unwrap_or_default(),
        process: first(CheckKind::Process).map(process).unwrap_or_default(),
        last_checked: view
            .checks
            .iter()
            .filter_map(|check| check.last_ended)
            .max_by(f64::total_cmp)
            .map(Time::new),
        auto_restart_attempted: restart.is_some(),
        auto_restart_result: restart.map(|action| action.result),
    }
}

/// Whether the last run of a check was ok.
fn is_ok(view: &CheckView) -> bool {
    match view.settings.kind.kind() {
        CheckKind::Systemd => systemd(view).ok == Some(true),
        _ => error(view).is_none(),
    }
}

/// The last run, unless it is stale.
fn recent(view: &CheckView) -> Option<&Outcome> {
    let run = view.last_run.as_ref()?;
    (view.status != Status::Unknown).then_some(&*run.outcome)
}

/// The error of the last run. Between a restart and the first run after it, the saved status decides.
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
    let settings = http_settings(view);
    let expected = settings.and_then(|settings| settings.assertions.status_codes.first());
    let latency = outcome.map(|outcome| outcome.response_time.unwrap_or(outcome.duration));
    Http {
        ok: Some(error.is_none()),
        status_code: outcome.and_then(status_code),
        latency_ms: latency.map_or(0, whole_milliseconds),
        error: error.unwrap_or_default(),
        expected_status: expected.unwrap_or(USUAL_STATUS),
    }
}

fn no_http() -> Http<'static> {
    Http {
        ok: None,
        status_code: None,
        latency_ms: 0,
        error: "",
        expected_status: USUAL_STATUS,
    }
}

fn http_settings(view: &CheckView) -> Option<&HttpSettings> {
    match &view.settings.kind {
        KindSettings::Http(settings) => Some(settings),
        _ => None,
    }
}

/// Rounds to the nearest millisecond.
fn whole_milliseconds(time: Duration) -> u64 {
    let rounded = time.saturating_add(Duration::from_micros(500));
    u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX)
}

/// The status of the response. The sample is 0 without a response.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn status_code(outcome: &Outcome) -> Option<u16> {
    let code = samples(outcome, STATUS_CODE).next()?.value;
    (100.0..=999.0).contains(&code).then_some(code as u16)
}

fn port(error: Option<&str>) -> Port<'_> {
    Port {
        ok: Some(error.is_none()),
        error: error.unwrap_or_default(),
    }
}

/// The port of an http check's URL. It is open if the last run could connect, even if the run failed later. `None` with a proxy,
/// because then the exporter does not connect to the port.
fn port_of_url(view: &CheckView) -> Port<'_> {
    let proxies = http_settings(view).and_then(|settings| Some((settings, settings.proxy.as_ref()?)));
    if proxies.is_some_and(|(settings, proxies)| proxies.for_url(&settings.url).is_some()) {
        return Port::default();
    }
    let got_further = recent(view).is_some_and(|outcome| {
        [Phase::Tls, Phase::Processing, Phase::Transfer]
            .iter()
            .any(|phase| !outcome.phases.spent(*phase).is_zero())
    });
    port(error(view).filter(|_| !got_further))
}

fn systemd(view: &CheckView) -> Systemd<'_> {
    let outcome = recent(view);
    let current = outcome.and_then(|outcome| {
        let mut states = samples(outcome, UNIT_STATE);
        states.find(|sample| sample.value > 0.0)?.labels.get(1)
    });
    let state = current.map_or("unknown", |state| state);
    let is_ok = match outcome {
        // Other expected states are a success, too. A unit that is still starting is a warning.
        Some(outcome) => outcome.conclusion == Conclusion::Success || state == "active",
        None => view.status == Status::Up,
    };
    Systemd {
        state: Some(state),
        ok: Some(is_ok),
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
        count: Some(count.map_or(0, |sample| sample.value as u64)),
        pids: outcome.map_or(&[], |outcome| &outcome.pids),
    }
}

fn samples<'a>(outcome: &'a Outcome, family: &'static str) -> impl Iterator<Item = &'a Sample> {
    let samples = outcome.samples.iter();
    samples.filter(move |sample| sample.family.name == family)
}
