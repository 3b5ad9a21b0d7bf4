//! Tests of the result of every state.

use super::super::response::Probe;
use super::*;
use crate::config::KindSettings;
use crate::config::tests_support::check;

fn settings(keys: &str) -> DockerSettings {
    match check(&format!("kind: docker, {keys}")).kind {
        KindSettings::Docker(settings) => std::sync::Arc::unwrap_or_clone(settings),
        other => panic!("{other:?}"),
    }
}

/// The container web in this state. It was started at second 100, and restarted twice.
fn container(status: &str, rest: &str) -> Container {
    let text = format!(
        r#"{{"Id": "0123456789abcdef", "Name": "/web", "RestartCount": 2, "State": {{"Status": "{status}",
            "StartedAt": "1970-01-01T00:01:40Z" {rest}}}}}"#
    );
    Container::parse(text.as_bytes()).unwrap()
}

/// `up`, or `warning` or `failure` with the problem.
fn verdict_at(now: f64, container: &Container) -> String {
    match judge(container, &settings("container: web"), Stability::Steady, now) {
        Ok(None) => "up".to_owned(),
        Ok(Some(problem)) => format!("warning {problem}"),
        Err(problem) => format!("failure {problem}"),
    }
}

fn verdict(status: &str, rest: &str) -> String {
    verdict_at(130.0, &container(status, rest))
}

#[test]
fn every_state_has_its_result() {
    let oom = r#", "ExitCode": 137, "OOMKilled": true"#;
    let error = r#", "ExitCode": 127, "Error": "exec: \"gunicorn\": executable file not found""#;
    for (status, rest, expected) in [
        ("running", "", "up"),
        (
            "restarting",
            r#", "ExitCode": 1"#,
            "failure state: web exited and waits for its restart after 2 restarts, exit code 1; see `docker logs web`",
        ),
        (
            "exited",
            r#", "ExitCode": 0"#,
            "failure state: web exited, exit code 0; see `docker logs web`",
        ),
        (
            "exited",
            oom,
            "failure state: web exited, exit code 137 (SIGKILL), out of memory (OOMKilled); see `docker logs web`",
        ),
        (
            "created",
            error,
            "failure state: web was created but never started (\"exec: \"gunicorn\": executable file not found\"): \
             start it with `docker start web`",
        ),
        (
            "paused",
            "",
            "failure state: web is paused: resume it with `docker unpause web`",
        ),
        ("removing", "", "failure state: web is being removed"),
        (
            "dead",
            r#", "ExitCode": 143"#,
            "failure state: web is dead, because it could not be removed, exit code 143 (SIGTERM): remove it with \
             `docker rm web`",
        ),
        (
            "stopping",
            "",
            "failure state: web is in the unknown state \"stopping\"",
        ),
    ] {
        assert_eq!(verdict(status, rest), expected, "{status}");
    }
}

#[test]
fn health_counts_only_while_the_container_runs() {
    let health = |word: &str| format!(r#", "Health": {{"Status": "{word}", "FailingStreak": 3}}"#);
    assert_eq!(verdict("running", &health("healthy")), "up");
    assert_eq!(
        verdict("running", &health("unhealthy")),
        "failure state: web is unhealthy: its health check failed 3 times in a row"
    );
    assert_eq!(
        verdict("running", &health("sleepy")),
        "warning state: the health of web is \"sleepy\", which this exporter does not know: check for a newer version"
    );
    assert!(verdict("exited", &health("healthy")).starts_with("failure state: web exited"));
}

#[test]
fn a_restart_loop_is_a_failure_and_a_single_restart_briefly_a_warning() {
    let judged = |status: &str, rest: &str, stability| match judge(
        &container(status, rest),
        &settings("container: web"),
        stability,
        102.0,
    ) {
        Ok(None) => "up".to_owned(),
        Ok(Some(problem)) => format!("warning {problem}"),
        Err(problem) => format!("failure {problem}"),
    };
    let looping = Stability::Looping {
        restarts: 4,
        stable_after: 30.0,
    };
    let text = "failure state: web is in a restart loop: its policy restarted it 4 times within 5 min; it counts as up after \
                it has run for 30 s";
    let logs = "; see `docker logs web`";
    assert_eq!(judged("running", "", looping), format!("{text}{logs}"));
    let healthy = r#", "Health": {"Status": "healthy"}"#;
    assert_eq!(judged("running", healthy, looping), format!("{text}{logs}"));
    assert_eq!(
        judged("restarting", r#", "ExitCode": 3"#, looping),
        format!("{text}, exit code 3{logs}")
    );
    assert!(judged("exited", "", looping).starts_with("failure state: web exited"));
    assert_eq!(
        judged("running", "", Stability::Restarted(2.0)),
        format!(
            "warning state: web was restarted by its policy 2 s ago; it counts as up after it has run for 10 s{logs}"
        )
    );
    assert_eq!(judged("running", healthy, Stability::Restarted(2.0)), "up");
}

#[test]
fn the_start_grace_comes_from_the_settings_of_the_health_check() {
    let text = r#"{"Id": "1", "Name": "/web", "State": {"Status": "running", "StartedAt": "1970-01-01T00:01:40Z",
        "Health": {"Status": "starting"}},
        "Config": {"Healthcheck": {"Interval": 60000000000, "Timeout": 10000000000, "StartPeriod": 60000000000}}}"#;
    let starting = Container::parse(text.as_bytes()).unwrap();
    let result = verdict_at(150.0, &starting);
    assert_eq!(
        result,
        "warning state: the health check of web has not passed 50 s after the start, the limit is 270 s (from the start \
         period, interval, timeout and retries of the health check)"
    );
    assert!(verdict_at(369.0, &starting).starts_with("warning"));
    assert!(verdict_at(370.0, &starting).starts_with("failure"));
    let own = judge(
        &starting,
        &settings("container: web, start_grace: 20s"),
        Stability::Steady,
        121.0,
    );
    assert!(
        own.unwrap_err()
            .message()
            .ends_with("the limit is 20 s (start_grace)")
    );
}

#[test]
fn a_health_check_may_be_starting_until_the_default_limit() {
    let starting = container("running", r#", "Health": {"Status": "starting"}"#);
    let text = |seconds: u32| {
        format!(
            "state: the health check of web has not passed {seconds} s after the start, the limit is 45 s (start_grace)"
        )
    };
    assert_eq!(verdict_at(130.0, &starting), format!("warning {}", text(30)));
    assert_eq!(verdict_at(145.0, &starting), format!("failure {}", text(45)));
    // A clock that is set back causes no failure.
    assert_eq!(verdict_at(7.0, &starting), format!("warning {}", text(0)));
}

#[test]
fn the_output_of_a_health_check_is_one_truncated_line() {
    let mut sick = container(
        "running",
        r#", "Health": {"Status": "unhealthy", "FailingStreak": 1}"#,
    );
    sick.last_probe = Some(Probe {
        exit_code: 7,
        output: format!("first\nsecond {}\n", "é".repeat(5000)),
    });
    let result = verdict_at(130.0, &sick);
    assert!(
        result.contains("; the last probe exited with 7 and printed \"first second ééé"),
        "{result}"
    );
    assert!(result.ends_with("é\u{2026}\"") && result.len() < 512, "{result}");
    sick.last_probe = Some(Probe::default());
    assert!(verdict_at(130.0, &sick).ends_with("the last probe exited with 0 and printed nothing"));
}

#[test]
fn another_container_is_not_mistaken_for_the_configured_one() {
    let found = container("running", "");
    for (wanted, is_found) in [
        ("web", true),
        ("0123456789abcdef", true),
        ("0123456789ab", true),
        ("0123456789a", false),
        ("we", false),
        ("Web", false),
    ] {
        let result = check_identity(&found, &settings(&format!("container: \"{wanted}\"")));
        assert_eq!(result.is_ok(), is_found, "{wanted}");
        if let Err(problem) = result {
            assert_eq!(problem.reason, Reason::Missing);
        }
    }
}
