//! Judges a container. Pure: takes the engine's description and the settings, returns the result.

use http::StatusCode;
use serde::Deserialize;

use super::response::{Container, Health, State};
use super::restarts::{STABLE_AFTER, Stability, WINDOW};
use crate::config::docker::DockerSettings;
use crate::model::{Problem, Reason};
use crate::net::api_client::ApiResponse;
use crate::net::engine::{self, SHORT_ID};

/// How much of the engine's text or of a health check's output a message quotes, in characters.
const MAX_QUOTED: usize = 200;

/// How long the health may be `starting` if the engine does not report the settings of the health check, in seconds.
const DEFAULT_START_GRACE: f64 = 45.0;

/// Returns success, a warning, or a failure. `now` is the engine's time.
pub fn judge(
    container: &Container,
    settings: &DockerSettings,
    stability: Stability,
    now: f64,
) -> Result<Option<Problem>, Problem> {
    let name = &settings.container;
    let state = |message: String| Problem::new(Reason::State, message);
    let logs = format!("see `docker logs {name}`");
    let (exit, error) = (exit_details(container), engine_error(container));
    match container.state {
        // In a restart loop, the current state does not last.
        Some(State::Running | State::Restarting) if matches!(stability, Stability::Looping { .. }) => Err(
            state(format!("{}{exit}{error}; {logs}", describe_loop(name, stability))),
        ),
        Some(State::Running) => match (judge_running(container, settings, now)?, stability) {
            (None, Stability::Restarted(age)) if container.health.is_none() => Ok(Some(state(format!(
                "{name} was restarted by its policy {age:.0} s ago; it counts as up after it has run for {STABLE_AFTER} s; \
                 {logs}"
            )))),
            (warning, _) => Ok(warning),
        },
        // Like a systemd unit in auto-restart.
        Some(State::Restarting) => {
            let restarts = container.restarts.unwrap_or_default();
            Err(state(format!(
                "{name} exited and waits for its restart after {restarts} restarts{exit}{error}; {logs}"
            )))
        }
        Some(State::Created) => Err(state(format!(
            "{name} was created but never started{error}: start it with `docker start {name}`"
        ))),
        Some(State::Paused) => Err(state(format!(
            "{name} is paused: resume it with `docker unpause {name}`"
        ))),
        Some(State::Exited) => Err(state(format!("{name} exited{exit}{error}; {logs}"))),
        Some(State::Removing) => Err(state(format!("{name} is being removed{error}"))),
        Some(State::Dead) => Err(state(format!(
            "{name} is dead, because it could not be removed{exit}{error}: remove it with `docker rm {name}`"
        ))),
        None => Err(state(format!(
            "{name} is in the unknown state {}",
            quoted(&container.status)
        ))),
    }
}

fn describe_loop(name: &str, stability: Stability) -> String {
    let Stability::Looping {
        restarts,
        stable_after,
    } = stability
    else {
        return name.to_owned();
    };
    let minutes = WINDOW / 60.0;
    format!(
        "{name} is in a restart loop: its policy restarted it {restarts} times within {minutes} min; it counts as up after \
         it has run for {stable_after:.0} s"
    )
}

fn judge_running(
    container: &Container,
    settings: &DockerSettings,
    now: f64,
) -> Result<Option<Problem>, Problem> {
    let name = &settings.container;
    let state = |message: String| Problem::new(Reason::State, message);
    let probe = container.last_probe.as_ref().map(|probe| {
        let output = probe.output.trim();
        let output = if output.is_empty() {
            "nothing".to_owned()
        } else {
            quoted(output)
        };
        format!(
            "; the last probe exited with {} and printed {output}",
            probe.exit_code
        )
    });
    let probe = probe.unwrap_or_default();
    match (container.health, container.health_word.as_str()) {
        (Some(Health::Healthy), _) | (None, "") => Ok(None),
        (Some(Health::Unhealthy), _) => Err(state(format!(
            "{name} is unhealthy: its health check failed {} times in a row{probe}",
            container.failing_streak
        ))),
        (Some(Health::Starting), _) => {
            let since = container.started.map_or(0.0, |started| (now - started).max(0.0));
            let (grace, source) = start_grace(container, settings);
            let problem = state(format!(
                "the health check of {name} has not passed {since:.0} s after the start, the limit is {grace} s ({source}){probe}"
            ));
            if since < grace {
                Ok(Some(problem))
            } else {
                Err(problem)
            }
        }
        (None, word) => Ok(Some(state(format!(
            "the health of {name} is {}, which this exporter does not know: check for a newer version",
            quoted(word)
        )))),
    }
}

/// How long the health may be `starting`, and where this limit comes from.
fn start_grace(container: &Container, settings: &DockerSettings) -> (f64, &'static str) {
    match (settings.start_grace, container.health_check) {
        (Some(grace), _) => (grace.as_secs_f64(), "start_grace"),
        (None, Some(check)) => (
            check.start_grace(),
            "from the start period, interval, timeout and retries of the health check",
        ),
        (None, None) => (DEFAULT_START_GRACE, "start_grace"),
    }
}

/// The exit code, the signal and the lack of memory.
fn exit_details(container: &Container) -> String {
    let code = container.exit_code().map(|code| format!(", exit code {code}"));
    // As in a shell: 128 plus the number of the signal.
    let signal = match container.exit_code() {
        Some(137) => " (SIGKILL)",
        Some(143) => " (SIGTERM)",
        _ => "",
    };
    let memory = if container.oom_killed {
        ", out of memory (OOMKilled)"
    } else {
        ""
    };
    format!("{}{signal}{memory}", code.unwrap_or_default())
}

fn engine_error(container: &Container) -> String {
    match container.error.trim() {
        "" => String::new(),
        error => format!(" ({})", quoted(error)),
    }
}

/// Checks that the engine found the configured container. Engines also treat any prefix of an id as a name. If the configured
/// container is gone, another one must not pass for it.
///
/// # Errors
/// The engine found another container (reason `missing`).
pub fn check_identity(container: &Container, settings: &DockerSettings) -> Result<(), Problem> {
    let wanted = settings.container.as_str();
    if engine::is_identified(wanted, &container.name, &container.id) {
        return Ok(());
    }
    let message = format!(
        "no container is named {wanted}; the engine treats it as the start of the id of {container}: use at least \
         {SHORT_ID} digits of an id"
    );
    Err(Problem::new(Reason::Missing, message))
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// The problem of a response that is not a success.
pub fn error_response(response: &ApiResponse, settings: &DockerSettings) -> Problem {
    let DockerSettings { container, host, .. } = settings;
    let body = serde_json::from_slice::<ErrorBody>(&response.body).ok();
    let is_engine = body.is_some();
    let message = body.map_or_else(
        || String::from_utf8_lossy(&response.body).into(),
        |body| body.message,
    );
    let message = quoted(message.trim());
    match response.status {
        StatusCode::NOT_FOUND if is_engine => Problem::new(
            Reason::Missing,
            format_args!(
                "the engine at {host} has no container {container}: list containers with `docker ps --all` ({message})"
            ),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::new(
            Reason::Auth,
            format_args!(
                "the engine at {host}, or a proxy in front of it, refuses GET /containers/{container}/json: allow it ({} {message})",
                response.status.as_u16()
            ),
        ),
        status => Problem::new(
            Reason::Status,
            format_args!(
                "the engine at {host} responded to the request for {container} with {status}: {message}"
            ),
        ),
    }
}

/// Quotes a text, truncated.
fn quoted(text: &str) -> String {
    let piece: String = text.chars().take(MAX_QUOTED).collect();
    let more = if piece.len() < text.len() { "\u{2026}" } else { "" };
    format!("\"{piece}{more}\"")
}

#[cfg(test)]
mod tests;
