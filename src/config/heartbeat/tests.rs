//! Tests of the exact messages, of targets, and of due times.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::config::KindSettings;
use crate::config::tests_support::{check, resolve_json};

const TOKEN: &str = "0123456789abcdef";

fn resolve(options: &Value) -> Result<HeartbeatSettings, String> {
    resolve_json(options.clone(), HeartbeatOptions::resolve)
        .map_err(|findings| findings.join("; ").trim_start_matches(": ").to_owned())
}

#[test]
fn wrong_options_have_exact_messages() {
    for (options, message) in [
        (
            json!({"every": "1h"}),
            "token is missing: write token_file with the path of a file that `openssl rand -hex 16` wrote",
        ),
        (
            json!({"token": "short", "every": "1h"}),
            "token: the token must have 16 to 128 characters of A-Z, a-z, 0-9, _ and -: create one with `openssl rand -hex 16`",
        ),
        (
            json!({"token": TOKEN, "token_env": "X", "every": "1h"}),
            "give one of token, token_file and token_env, not several",
        ),
        (
            json!({"token": TOKEN}),
            "every is missing: write the longest time between two successes, such as every: 1h, or cron: \"0 3 * * *\"",
        ),
        (
            json!({"token": TOKEN, "every": "1h", "cron": "0 3 * * *"}),
            "cron: conflicts with every: remove one of the two",
        ),
        (
            json!({"token": TOKEN, "every": "1ms"}),
            "every: 1ms is out of range: write 1s to 1y1d",
        ),
        (
            json!({"token": TOKEN, "every": "1h", "grace": "0"}),
            "grace: 0s is out of range: write 1s to 4w3d",
        ),
        (
            json!({"token": TOKEN, "every": "1h", "timezone": "UTC"}),
            "timezone: timezone is supported with cron only: remove it",
        ),
        (
            json!({"token": TOKEN, "cron": "0 3 * * *", "timezone": "Europe/Berln"}),
            "timezone: unknown time zone: did you mean Europe/Berlin?",
        ),
        (
            json!({"token": TOKEN, "cron": "0 0 30 2 *"}),
            "cron: never starts: write a date that exists",
        ),
    ] {
        assert_eq!(resolve(&options).unwrap_err(), message, "{options}");
    }
    let error = resolve(&json!({"token": TOKEN, "cron": "0 3 * *"})).unwrap_err();
    assert!(error.starts_with("cron: not a cron expression: "), "{error}");
}

#[test]
fn a_target_shows_the_schedule_and_not_the_token() {
    for (options, target) in [
        (json!({"token": TOKEN, "every": "90m"}), "every 1h30m"),
        (
            json!({"token": TOKEN, "cron": "0  3 * * *"}),
            "cron 0 3 * * * (UTC)",
        ),
        (
            json!({"token": TOKEN, "cron": "0 3 * * *", "timezone": "Europe/Berlin"}),
            "cron 0 3 * * * (Europe/Berlin)",
        ),
    ] {
        let settings = resolve(&options).unwrap();
        assert_eq!(settings.target(), target);
        assert!(!format!("{settings:?}").contains(TOKEN));
    }
}

#[test]
fn thresholds_come_from_the_check_only_and_are_those_of_the_run_time() {
    let base = "kind: heartbeat, token: 0123456789abcdef, every: 1h";
    for (keys, degraded, down) in [
        ("", None, None),
        (", thresholds: {down: 1h}", None, Some(3600)),
        (", thresholds: {degraded: 20m}", Some(1200), None),
        (", thresholds: {degraded: 20m, down: 1h}", Some(1200), Some(3600)),
    ] {
        let check = check(&format!("{base}{keys}"));
        let KindSettings::Heartbeat(settings) = &check.kind else {
            panic!("{check:?}")
        };
        let seconds = |limit: Option<u64>| limit.map(Duration::from_secs);
        assert_eq!(
            (settings.degraded, settings.down),
            (seconds(degraded), seconds(down))
        );
        assert_eq!(settings.id.as_ref().unwrap().check.as_str(), "heartbeat");
        assert_eq!(check.interval, Duration::from_secs(15));
    }
}

/// A clock whose moment zero is this time.
struct At(Timestamp);

impl crate::model::Clock for At {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn wall_nanos(&self) -> i64 {
        i64::try_from(self.0.as_nanosecond()).unwrap()
    }

    fn moment(&self, _: tokio::time::Instant) -> Moment {
        Moment::default()
    }
}

/// The time at which the job is due after a success at `success`. The clock showed `recorded` then.
fn due(cron: &str, success: &str, recorded: &str) -> String {
    let settings = resolve(&json!({"token": TOKEN, "cron": cron})).unwrap();
    let wall = WallAnchor::new(&At(success.parse().unwrap()));
    let recorded: Timestamp = recorded.parse().unwrap();
    let reference = Reference {
        at: Moment::default(),
        wall: i64::try_from(recorded.as_nanosecond()).unwrap(),
    };
    let due = settings.schedule.next_due(reference, reference.at, wall).unwrap();
    Timestamp::from_nanosecond(wall.nanos(due).into())
        .unwrap()
        .to_string()
}

#[test]
fn a_cron_job_is_due_at_the_first_time_after_its_success() {
    let daily = |success: &str, recorded: &str| due("0 3 * * *", success, recorded);
    let same = |success: &str| daily(success, success);
    assert_eq!(same("2026-01-01T03:00:01Z"), "2026-01-02T03:00:00Z");
    assert_eq!(same("2026-01-01T02:00:00Z"), "2026-01-01T03:00:00Z");
    // The clocks of two machines differ a little.
    assert_eq!(same("2026-01-01T02:59:51Z"), "2026-01-02T03:00:00Z");
    assert_eq!(same("2026-01-01T02:59:49Z"), "2026-01-01T03:00:00Z");
    // The clock was set back by an hour after the success. Cron does not start the job again.
    assert_eq!(
        daily("2026-01-01T02:05:00Z", "2026-01-01T03:05:00Z"),
        "2026-01-02T03:00:00Z"
    );
    // It was years ahead. The job is due as if the success had been at the right time.
    assert_eq!(
        daily("2026-01-01T02:05:00Z", "2036-01-01T03:05:00Z"),
        "2026-01-01T03:00:00Z"
    );
    // It was a day behind.
    assert_eq!(
        daily("2026-01-02T03:05:00Z", "2026-01-01T03:05:00Z"),
        "2026-01-03T03:00:00Z"
    );
}

#[test]
fn a_periodic_job_is_due_a_whole_number_of_periods_after_its_success() {
    let settings = resolve(&json!({"token": TOKEN, "every": "60s"})).unwrap();
    let wall = WallAnchor::new(&At(Timestamp::UNIX_EPOCH));
    let reference = Reference {
        at: Moment::default(),
        wall: 0,
    };
    for (after, expected) in [(0, 60), (59, 60), (60, 120), (61, 120), (100_000, 100_020)] {
        let after = Moment::default() + Duration::from_secs(after);
        let due = settings.schedule.next_due(reference, after, wall);
        assert_eq!(due, Some(Moment::default() + Duration::from_secs(expected)));
    }
}
