//! Each state of a container, and what is said of it.

use super::super::answer::Probe;
use super::*;
use crate::config::KindSettings;
use crate::config::tests_support::check;

fn settings(keys: &str) -> DockerSettings {
    match check(&format!("kind: docker, {keys}")).kind {
        KindSettings::Docker(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

/// A container called web, of this state, which was started at the second 100 and has restarted twice.
fn container(status: &str, rest: &str) -> Container {
    let text = format!(
        r#"{{"Id": "0123456789abcdef", "Name": "/web", "RestartCount": 2, "State": {{"Status": "{status}",
            "StartedAt": "1970-01-01T00:01:40Z" {rest}}}}}"#
    );
    Container::read(text.as_bytes()).unwrap()
}

/// `up`, or the kind of problem with its message.
fn verdict_at(now: f64, container: &Container) -> String {
    match judge(container, &settings("container: web"), Course::Steady, now) {
        Ok(None) => "up".to_owned(),
        Ok(Some(problem)) => format!("warning {problem}"),
        Err(problem) => format!("failure {problem}"),
    }
}

fn verdict(status: &str, rest: &str) -> String {
    verdict_at(130.0, &container(status, rest))
}

#[test]
fn every_state_has_its_verdict() {
    let oom = r#", "ExitCode": 137, "OOMKilled": true"#;
    let error = r#", "ExitCode": 127, "Error": "exec: \"gunicorn\": executable file not found""#;
    for (status, rest, expected) in [
        ("running", "", "up"),
        (
            "restarting",
            r#", "ExitCode": 1"#,
            "failure state: web has ended and waits to be restarted, as it did 2 times, with exit code 1; `docker logs web` \
             tells more",
        ),
        (
            "exited",
            r#", "ExitCode": 0"#,
            "failure state: web has exited, with exit code 0; `docker logs web` tells more",
        ),
        (
            "exited",
            oom,
            "failure state: web has exited, with exit code 137 (SIGKILL), out of memory (OOMKilled); `docker logs web` \
             tells more",
        ),
        (
            "created",
            error,
            "failure state: web was created, but never started (\"exec: \"gunicorn\": executable file not found\"): \
             `docker start web` starts it",
        ),
        (
            "paused",
            "",
            "failure state: web is paused: `docker unpause web` lets it go on",
        ),
        ("removing", "", "failure state: web is being removed"),
        (
            "dead",
            r#", "ExitCode": 143"#,
            "failure state: web is dead, which is to say it could not be removed, with exit code 143 (SIGTERM): \
             `docker rm web`",
        ),
        ("stopping", "", "failure state: web is in the state \"stopping\""),
    ] {
        assert_eq!(verdict(status, rest), expected, "{status}");
    }
}

#[test]
fn health_counts_while_it_runs() {
    let health = |word: &str| format!(r#", "Health": {{"Status": "{word}", "FailingStreak": 3}}"#);
    assert_eq!(verdict("running", &health("healthy")), "up");
    assert_eq!(
        verdict("running", &health("unhealthy")),
        "failure state: web is unhealthy: its health check failed 3 times in a row"
    );
    assert_eq!(
        verdict("running", &health("sleepy")),
        "warning state: the health of web is \"sleepy\", which this exporter does not know; is there a newer one?"
    );
    assert!(verdict("exited", &health("healthy")).starts_with("failure state: web has exited"));
}

#[test]
fn a_loop_is_a_failure_and_one_restart_a_warning_for_a_moment() {
    let judged = |status: &str, rest: &str, course| match judge(
        &container(status, rest),
        &settings("container: web"),
        course,
        102.0,
    ) {
        Ok(None) => "up".to_owned(),
        Ok(Some(problem)) => format!("warning {problem}"),
        Err(problem) => format!("failure {problem}"),
    };
    let looping = Course::Looping {
        restarts: 4,
        proof: 30.0,
    };
    let text = "failure state: web is in a restart loop: its policy restarted it 4 times within 5 min; it counts as up once \
                it has run for 30 s";
    let logs = "; `docker logs web` tells more";
    assert_eq!(judged("running", "", looping), format!("{text}{logs}"));
    let healthy = r#", "Health": {"Status": "healthy"}"#;
    assert_eq!(judged("running", healthy, looping), format!("{text}{logs}"));
    assert_eq!(
        judged("restarting", r#", "ExitCode": 3"#, looping),
        format!("{text}, with exit code 3{logs}")
    );
    assert!(judged("exited", "", looping).starts_with("failure state: web has exited"));
    assert_eq!(
        judged("running", "", Course::Restarted(2.0)),
        format!(
            "warning state: web was restarted by its policy 2 s ago; it counts as up once it has run for 10 s{logs}"
        )
    );
    assert_eq!(judged("running", healthy, Course::Restarted(2.0)), "up");
}

#[test]
fn a_health_check_may_be_starting_as_long_as_its_own_settings_say() {
    let text = r#"{"Id": "1", "Name": "/web", "State": {"Status": "running", "StartedAt": "1970-01-01T00:01:40Z",
        "Health": {"Status": "starting"}},
        "Config": {"Healthcheck": {"Interval": 60000000000, "Timeout": 10000000000, "StartPeriod": 60000000000}}}"#;
    let starting = Container::read(text.as_bytes()).unwrap();
    let said = verdict_at(150.0, &starting);
    assert_eq!(
        said,
        "warning state: the health check of web has not passed yet, 50 s after its start; 270 s are allowed (by the start \
         period, interval, timeout and retries of the health check)"
    );
    assert!(verdict_at(369.0, &starting).starts_with("warning"));
    assert!(verdict_at(370.0, &starting).starts_with("failure"));
    let own = judge(
        &starting,
        &settings("container: web, start_grace: 20s"),
        Course::Steady,
        121.0,
    );
    assert!(
        own.unwrap_err()
            .message()
            .ends_with("20 s are allowed (start_grace)")
    );
}

#[test]
fn a_health_check_may_be_starting_for_a_while() {
    let starting = container("running", r#", "Health": {"Status": "starting"}"#);
    let text = |seconds: u32| {
        format!(
            "state: the health check of web has not passed yet, {seconds} s after its start; 45 s are allowed (start_grace)"
        )
    };
    assert_eq!(verdict_at(130.0, &starting), format!("warning {}", text(30)));
    assert_eq!(verdict_at(145.0, &starting), format!("failure {}", text(45)));
    // A clock that goes back is no reason.
    assert_eq!(verdict_at(7.0, &starting), format!("warning {}", text(0)));
}

#[test]
fn what_a_health_check_printed_is_one_bounded_line() {
    let mut sick = container(
        "running",
        r#", "Health": {"Status": "unhealthy", "FailingStreak": 1}"#,
    );
    sick.last_probe = Some(Probe {
        exit_code: 7,
        output: format!("first\nsecond {}\n", "é".repeat(5000)),
    });
    let said = verdict_at(130.0, &sick);
    assert!(
        said.contains("; the last time it ended with 7 and said \"first second ééé"),
        "{said}"
    );
    assert!(said.ends_with("é\u{2026}\"") && said.len() < 512, "{said}");
    sick.last_probe = Some(Probe::default());
    assert!(verdict_at(130.0, &sick).ends_with("it ended with 0 and said nothing"));
}

#[test]
fn another_container_does_not_answer_for_the_one_that_is_meant() {
    let found = container("running", "");
    for (wanted, is_meant_too) in [
        ("web", true),
        ("0123456789abcdef", true),
        ("0123456789ab", true),
        ("0123456789a", false),
        ("we", false),
        ("Web", false),
    ] {
        let result = is_meant(&found, &settings(&format!("container: \"{wanted}\"")));
        assert_eq!(result.is_ok(), is_meant_too, "{wanted}");
        if let Err(problem) = result {
            assert_eq!(problem.reason, Reason::Missing);
        }
    }
}
