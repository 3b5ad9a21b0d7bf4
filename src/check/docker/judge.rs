//! Whether a container is as it should be. Pure: the engine's answer and settings in, verdict out.

use http::StatusCode;
use serde::Deserialize;

use super::answer::{Container, Health, State};
use super::restarts::{Course, PROVEN, WINDOW};
use crate::config::docker::DockerSettings;
use crate::model::{Problem, Reason};
use crate::net::api_client::Answer;

/// How much a message quotes of what the engine or a health check says, in characters.
const MAX_QUOTED: usize = 200;
/// The shortest beginning of an id that names a container: what `docker ps` shows.
const SHORT_ID: usize = 12;

/// For how long a health check may be starting, in seconds, where the engine does not say how it is set up.
const DEFAULT_START_GRACE: f64 = 45.0;

/// Success, success with a warning, or failure. `now` is the engine's time.
pub fn judge(
    container: &Container,
    settings: &DockerSettings,
    course: Course,
    now: f64,
) -> Result<Option<Problem>, Problem> {
    let name = &settings.container;
    let state = |message: String| Problem::new(Reason::State, message);
    let logs = format!("`docker logs {name}` tells more");
    let (code, error) = (how_it_ended(container), why(container));
    match container.state {
        // Whatever it is doing now, it does not serve for long.
        Some(State::Running | State::Restarting) if matches!(course, Course::Looping { .. }) => {
            Err(state(format!("{}{code}{error}; {logs}", in_a_loop(name, course))))
        }
        Some(State::Running) => match (running(container, settings, now)?, course) {
            (None, Course::Restarted(age)) if container.health.is_none() => Ok(Some(state(format!(
                "{name} was restarted by its policy {age:.0} s ago; it counts as up once it has run for {PROVEN} s; {logs}"
            )))),
            (warning, _) => Ok(warning),
        },
        // As a unit of systemd in auto-restart.
        Some(State::Restarting) => {
            let restarts = container.restarts.unwrap_or_default();
            Err(state(format!(
                "{name} has ended and waits to be restarted, as it did {restarts} times{code}{error}; {logs}"
            )))
        }
        Some(State::Created) => Err(state(format!(
            "{name} was created, but never started{error}: `docker start {name}` starts it"
        ))),
        Some(State::Paused) => Err(state(format!(
            "{name} is paused: `docker unpause {name}` lets it go on"
        ))),
        Some(State::Exited) => Err(state(format!("{name} has exited{code}{error}; {logs}"))),
        Some(State::Removing) => Err(state(format!("{name} is being removed{error}"))),
        Some(State::Dead) => Err(state(format!(
            "{name} is dead, which is to say it could not be removed{code}{error}: `docker rm {name}`"
        ))),
        None => Err(state(format!(
            "{name} is in the state {}",
            quoted(&container.status)
        ))),
    }
}

fn in_a_loop(name: &str, course: Course) -> String {
    let Course::Looping { restarts, proof } = course else {
        return name.to_owned();
    };
    let minutes = WINDOW / 60.0;
    format!(
        "{name} is in a restart loop: its policy restarted it {restarts} times within {minutes} min; it counts as up once it \
         has run for {proof:.0} s"
    )
}

fn running(container: &Container, settings: &DockerSettings, now: f64) -> Result<Option<Problem>, Problem> {
    let name = &settings.container;
    let state = |message: String| Problem::new(Reason::State, message);
    let probe = container.last_probe.as_ref().map(|probe| {
        let output = probe.output.trim();
        let said = if output.is_empty() {
            "nothing".to_owned()
        } else {
            quoted(output)
        };
        format!(
            "; the last time it ended with {} and said {said}",
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
                "the health check of {name} has not passed yet, {since:.0} s after its start; {grace} s are allowed ({source}){probe}"
            ));
            if since < grace {
                Ok(Some(problem))
            } else {
                Err(problem)
            }
        }
        (None, word) => Ok(Some(state(format!(
            "the health of {name} is {}, which this exporter does not know; is there a newer one?",
            quoted(word)
        )))),
    }
}

/// For how long its health check may be starting, and what says so.
fn start_grace(container: &Container, settings: &DockerSettings) -> (f64, &'static str) {
    match (settings.start_grace, container.health_check) {
        (Some(grace), _) => (grace.as_secs_f64(), "start_grace"),
        (None, Some(check)) => (
            check.start_grace(),
            "by the start period, interval, timeout and retries of the health check",
        ),
        (None, None) => (DEFAULT_START_GRACE, "start_grace"),
    }
}

fn how_it_ended(container: &Container) -> String {
    let code = container
        .exit_code()
        .map(|code| format!(", with exit code {code}"));
    // 128 and the number of the signal, as in a shell.
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

fn why(container: &Container) -> String {
    match container.error.trim() {
        "" => String::new(),
        error => format!(" ({})", quoted(error)),
    }
}

/// Engines take the beginning of an id for a name too, however short. What was configured as a name must not be answered
/// for by another container, just because the one that is meant is gone.
///
/// # Errors
/// With the reason `missing` where the engine found another one.
pub fn is_meant(container: &Container, settings: &DockerSettings) -> Result<(), Problem> {
    let wanted = settings.container.as_str();
    let is_id = wanted.len() >= SHORT_ID && container.id.starts_with(wanted);
    if container.name == wanted || is_id {
        return Ok(());
    }
    let message = format!(
        "no container is named {wanted}; the engine took it for the beginning of the id of {container}, of which at least \
         {SHORT_ID} digits are to be written"
    );
    Err(Problem::new(Reason::Missing, message))
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// The problem of an answer that is no success.
pub fn refusal(answer: &Answer, settings: &DockerSettings) -> Problem {
    let DockerSettings { container, host, .. } = settings;
    let said = serde_json::from_slice::<Refusal>(&answer.body).ok();
    let is_engine = said.is_some();
    let message = said.map_or_else(
        || String::from_utf8_lossy(&answer.body).into(),
        |said| said.message,
    );
    let message = quoted(message.trim());
    match answer.status {
        StatusCode::NOT_FOUND if is_engine => Problem::new(
            Reason::Missing,
            format_args!(
                "the engine at {host} has no container {container}: `docker ps --all` shows what there is ({message})"
            ),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::new(
            Reason::Auth,
            format_args!(
                "the engine at {host}, or a proxy before it, refuses GET /containers/{container}/json: allow it ({} {message})",
                answer.status.as_u16()
            ),
        ),
        status => Problem::new(
            Reason::Status,
            format_args!("the engine at {host}, asked for {container}, answered {status}: {message}"),
        ),
    }
}

/// A bounded piece of what somebody said.
fn quoted(text: &str) -> String {
    let piece: String = text.chars().take(MAX_QUOTED).collect();
    let more = if piece.len() < text.len() { "\u{2026}" } else { "" };
    format!("\"{piece}{more}\"")
}

#[cfg(test)]
mod tests;
