//! Parses an engine's description of a container.

use std::fmt;

use serde::Deserialize;

use crate::model::words;
use crate::net::engine::unix_time;

words! {
    /// The state of a container, as the Engine API names it (`State.Status`).
    State {
        /// It was never started.
        Created = "created",
        /// It is running.
        Running = "running",
        /// Its processes are frozen.
        Paused = "paused",
        /// It exited, and waits for its restart.
        Restarting = "restarting",
        /// It is being removed.
        Removing = "removing",
        /// It exited.
        Exited = "exited",
        /// It could not be removed completely.
        Dead = "dead",
    }
}

words! {
    /// The result of a container's health check.
    Health {
        /// It has not passed yet.
        Starting = "starting",
        /// It passed.
        Healthy = "healthy",
        /// It failed.
        Unhealthy = "unhealthy",
    }
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The state as the engine names it.
    pub status: String,
    /// The state; absent if it is unknown to Docker.
    pub state: Option<State>,
    /// The health as the engine names it; empty without a health check.
    pub health_word: String,
    /// The health; absent without a health check, or if it is unknown to Docker.
    pub health: Option<Health>,
    /// How often its health check failed in a row.
    pub failing_streak: u32,
    /// The last run of its health check.
    pub last_probe: Option<Probe>,
    /// How often its restart policy has restarted it.
    pub restarts: Option<u32>,
    /// Whether it was killed for lack of memory.
    pub oom_killed: bool,
    /// The engine's error when it started the container.
    pub error: String,
    /// When it was last started, in Unix time.
    pub started: Option<f64>,
    /// When it last exited, in Unix time.
    pub finished: Option<f64>,
    /// The id of its main process in the engine's namespace; 0 while it does not run.
    pub pid: u32,
    /// Its limit of memory in bytes, if it has one.
    pub memory_limit: Option<u64>,
    /// The settings of its health check, if the engine reports them.
    pub health_check: Option<HealthCheck>,
    pub(super) exit_code: Option<i32>,
}

/// One run of a health check.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Probe {
    /// Its exit code.
    pub exit_code: i32,
    /// Its output.
    pub output: String,
}

/// The settings of a health check (the Engine API's `Config.Healthcheck`). Times are in nanoseconds; 0 is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    interval: i64,
    timeout: i64,
    start_period: i64,
    retries: i64,
}

impl HealthCheck {
    /// How long after the start the health may be `starting`, in seconds: the start period, and then the time in which enough
    /// probes fail to make the container unhealthy. The defaults are Docker's (`docker run --help`).
    pub fn start_grace(&self) -> f64 {
        let or = |value: i64, default: i64| if value > 0 { value } else { default } as f64 / 1e9;
        let (interval, timeout) = (
            or(self.interval, 30_000_000_000),
            or(self.timeout, 30_000_000_000),
        );
        let retries = if self.retries > 0 { self.retries } else { 3 };
        let grace = or(self.start_period, 0) + (interval + timeout) * retries as f64;
        grace.min(MAX_START_GRACE)
    }
}

/// The upper limit for [`HealthCheck::start_grace`], in seconds: a day.
const MAX_START_GRACE: f64 = 86_400.0;

/// Why a response can't be parsed.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is not JSON, or has another structure.
    #[error("the response is not the JSON of a container ({0}): is this a Docker engine?")]
    Form(serde_json::Error),
    /// It has no state.
    #[error("the response has no state of the container: is this a Docker engine?")]
    NoState,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    id: String,
    name: String,
    restart_count: Option<u32>,
    state: RawState,
    #[serde(default)]
    config: Option<RawConfig>,
    #[serde(default)]
    host_config: Option<RawHostConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHostConfig {
    memory: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    healthcheck: Option<HealthCheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawState {
    status: Option<String>,
    exit_code: Option<i32>,
    pid: Option<i64>,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    error: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    health: Option<RawHealth>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawHealth {
    status: String,
    failing_streak: u32,
    log: Option<Vec<Probe>>,
}

impl Container {
    /// Parses a response.
    ///
    /// # Errors
    /// It does not describe a container.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let RawContainer {
            id,
            name,
            restart_count,
            state,
            config,
            host_config,
        } = serde_json::from_slice(body).map_err(ParseError::Form)?;
        let status = state
            .status
            .filter(|status| !status.is_empty())
            .ok_or(ParseError::NoState)?;
        let mut health = state.health.unwrap_or_default();
        // Without a health check, Docker has no health, or "none" in some versions; podman has "".
        if health.status == "none" {
            health.status.clear();
        }
        Ok(Self {
            id,
            name: name.trim_start_matches('/').to_owned(),
            state: parse_state(&status),
            status,
            health: Health::from_word(&health.status),
            health_word: health.status,
            failing_streak: health.failing_streak,
            last_probe: health.log.and_then(|mut log| log.pop()),
            restarts: restart_count,
            oom_killed: state.oom_killed,
            error: state.error.unwrap_or_default(),
            started: state.started_at.as_deref().and_then(unix_time),
            finished: state.finished_at.as_deref().and_then(unix_time),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            memory_limit: host_config
                .and_then(|config| config.memory)
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
            health_check: config.and_then(|config| config.healthcheck),
            exit_code: state.exit_code,
        })
    }

    /// The exit code of a container that has exited. Docker reports 0 for one that is running, or was never started.
    pub fn exit_code(&self) -> Option<i32> {
        let has_ended = matches!(self.state, Some(State::Exited | State::Dead | State::Restarting));
        self.exit_code.filter(|_| has_ended)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.12})", self.name, self.id)
    }
}

/// Parses a state. podman has other words for some of Docker's states.
fn parse_state(status: &str) -> Option<State> {
    match status {
        "configured" | "initialized" => Some(State::Created),
        "stopped" => Some(State::Exited),
        word => State::from_word(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_docker_and_podman_are_parsed() {
        // A response of Docker 24, shortened.
        let docker = br#"{"Id": "4f66ad9a0b2e", "Name": "/web", "RestartCount": 2, "State": {"Status": "exited",
            "Running": false, "OOMKilled": true, "Pid": 0, "ExitCode": 137, "Error": "", "StartedAt": "2026-01-02T03:04:05.5Z",
            "Health": {"Status": "unhealthy", "FailingStreak": 3, "Log": [
                {"Start": "x", "ExitCode": 0, "Output": "fine"}, {"Start": "x", "ExitCode": 1, "Output": "gone"}]}}}"#;
        let container = Container::parse(docker).unwrap();
        assert_eq!(
            (container.name.as_str(), container.state),
            ("web", Some(State::Exited))
        );
        assert_eq!(
            (container.exit_code(), container.oom_killed, container.restarts),
            (Some(137), true, Some(2))
        );
        assert_eq!(container.started, Some(1_767_323_045.5));
        assert_eq!(
            (container.health, container.failing_streak),
            (Some(Health::Unhealthy), 3)
        );
        assert_eq!(container.last_probe.as_ref().unwrap().output, "gone");
        assert_eq!(container.to_string(), "web (4f66ad9a0b2e)");

        // A response of podman 4.3, shortened.
        let podman = br#"{"Id": "1", "Name": "/a", "RestartCount": 0, "State": {"Status": "running", "ExitCode": 0,
            "StartedAt": "2026-11-24T16:43:37.376540959+01:00", "Health": {"Status": "", "FailingStreak": 0, "Log": null}}}"#;
        let container = Container::parse(podman).unwrap();
        assert_eq!((container.state, container.health), (Some(State::Running), None));
        assert_eq!(
            (container.health_word.as_str(), container.exit_code()),
            ("", None)
        );
        assert!(container.started.is_some());
    }

    #[test]
    fn the_start_grace_follows_from_the_settings_of_the_health_check() {
        let grace = |config: &str| {
            let text = format!(
                r#"{{"Id": "1", "Name": "/a", "State": {{"Status": "running"}}, "Config": {config}}}"#
            );
            let container = Container::parse(text.as_bytes()).unwrap();
            container.health_check.map(|check| check.start_grace())
        };
        assert_eq!(grace("null"), None);
        assert_eq!(grace(r#"{"Image": "a", "Healthcheck": null}"#), None);
        assert_eq!(
            grace(r#"{"Healthcheck": {"Test": ["CMD", "true"]}}"#),
            Some(180.0)
        );
        assert_eq!(
            grace(
                r#"{"Healthcheck": {"Interval": 60000000000, "Timeout": 5000000000, "StartPeriod": 120000000000,
                    "Retries": 2}}"#
            ),
            Some(250.0)
        );
        assert_eq!(
            grace(r#"{"Healthcheck": {"Interval": -1, "Retries": 9223372036854775807}}"#),
            Some(86_400.0)
        );
    }

    #[test]
    fn unknown_values_are_absent() {
        let parse = |status: &str, rest: &str| {
            let text = format!(
                r#"{{"Id": "1", "Name": "/a", "State": {{"Status": "{status}", "ExitCode": 0 {rest}}}}}"#
            );
            Container::parse(text.as_bytes()).unwrap()
        };
        assert_eq!(parse("initialized", "").state, Some(State::Created));
        assert_eq!(parse("stopping", "").state, None);
        assert_eq!(parse("created", "").exit_code(), None);
        assert_eq!(
            parse("running", r#", "StartedAt": "0001-01-01T00:00:00Z""#).started,
            None
        );
        assert_eq!(parse("running", r#", "StartedAt": "yesterday""#).started, None);
        assert_eq!(
            parse("running", r#", "Health": {"Status": "none"}"#).health_word,
            ""
        );
        assert_eq!(parse("running", r#", "Health": null"#), parse("running", ""));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"Id": "1", "Name": "/a", "State": {"Status": 1}}"#,
        ] {
            assert!(
                matches!(Container::parse(text.as_bytes()), Err(ParseError::Form(_))),
                "{text}"
            );
        }
    }
}
