//! The verdict on every state, with and without expected states.

use std::time::Duration;

use super::*;
use crate::check::unit_watch::Properties;
use crate::config::resource_limits::ResourceSettings;
use crate::config::systemd::BusAddress;

const GRACE: Duration = Duration::from_secs(45);

fn settings(expect: &[UnitState]) -> SystemdSettings {
    SystemdSettings {
        unit: "x.service".to_owned(),
        expect: match expect {
            [] => Expect::Running,
            states => Expect::States(states.to_vec()),
        },
        start_grace: GRACE,
        bus: BusAddress::System,
        resources: ResourceSettings::default(),
    }
}

fn unit(load: &str, active: &str, sub: &str) -> Unit {
    let mut unit = Unit::default();
    unit.apply_row(load, active, sub);
    unit
}

/// A first start.
fn first(lasts: Duration) -> Starting {
    Starting {
        lasts,
        not_active_for: lasts,
        is_retry: false,
    }
}

/// `up`, `degraded`, or the reason of the failure.
fn verdict(unit: &Unit, expect: &[UnitState], starting: Starting) -> &'static str {
    match judge(unit, &settings(expect), starting) {
        Ok(None) => "up",
        Ok(Some(_)) => "degraded",
        Err(problem) => problem.reason.as_str(),
    }
}

fn message(unit: &Unit, starting: Starting) -> String {
    let judged = judge(unit, &settings(&[]), starting);
    let problem = judged.unwrap_or_else(Some).expect("a problem");
    problem.message().to_owned()
}

#[test]
fn without_expected_states_a_unit_must_serve() {
    let brief = first(Duration::from_secs(44));
    for (active, sub, expected) in [
        ("active", "running", "up"),
        ("active", "exited", "up"),
        ("reloading", "reload", "up"),
        ("refreshing", "refresh", "up"),
        ("activating", "start", "degraded"),
        ("activating", "auto-restart", "state"),
        ("activating", "auto-restart-queued", "state"),
        ("inactive", "dead", "state"),
        ("failed", "failed", "state"),
        ("deactivating", "stop-sigterm", "state"),
        ("maintenance", "cleaning", "state"),
        ("levitating", "high", "state"),
    ] {
        assert_eq!(
            verdict(&unit("loaded", active, sub), &[], brief),
            expected,
            "{active}/{sub}"
        );
    }
    assert_eq!(
        verdict(&unit("loaded", "activating", "start"), &[], first(GRACE)),
        "state"
    );
}

#[test]
fn expected_states_replace_the_default() {
    use UnitState::{Activating, Active, Failed, Inactive};
    let zero = first(Duration::ZERO);
    for (active, sub, expect, expected) in [
        ("inactive", "dead", &[Inactive][..], "up"),
        ("active", "running", &[Inactive], "state"),
        ("failed", "failed", &[Inactive], "state"),
        ("failed", "failed", &[Failed], "up"),
        ("activating", "start", &[Inactive], "degraded"),
        ("activating", "start", &[Inactive, Activating], "up"),
        ("activating", "auto-restart", &[Inactive, Activating], "state"),
        ("reloading", "reload", &[Active], "up"),
        ("reloading", "reload", &[Inactive], "state"),
    ] {
        assert_eq!(
            verdict(&unit("loaded", active, sub), expect, zero),
            expected,
            "{active} {expect:?}"
        );
    }
}

/// Otherwise a unit that fails to start again and again would never be down for long.
#[test]
fn a_start_ends_no_outage() {
    let activating = unit("loaded", "activating", "start-pre");
    let expect_inactive = &[UnitState::Inactive][..];
    for (not_active_for, is_retry, expected, of_oneshot, why) in [
        (44, false, "degraded", "degraded", " (start_grace: 45 s)"),
        (
            45,
            false,
            "state",
            "degraded",
            ", and has not been active for 45 s (start_grace: 45 s)",
        ),
        (7, true, "state", "degraded", ", after a start that failed"),
    ] {
        let starting = Starting {
            lasts: Duration::from_secs(not_active_for.min(7)),
            not_active_for: Duration::from_secs(not_active_for),
            is_retry,
        };
        assert_eq!(verdict(&activating, &[], starting), expected, "{starting:?}");
        assert_eq!(
            verdict(&activating, expect_inactive, starting),
            of_oneshot,
            "{starting:?}"
        );
        if expected == "state" {
            assert_eq!(
                message(&activating, starting),
                format!(
                    "x.service has been activating (start-pre) for 7 s{why}; see `journalctl -u x.service`"
                )
            );
        }
    }
}

#[test]
fn the_load_state_matters_if_the_unit_does_not_run() {
    let zero = first(Duration::ZERO);
    let inactive = &[UnitState::Inactive][..];
    for (load, active, expect, expected) in [
        ("not-found", "inactive", &[][..], "missing"),
        ("masked", "inactive", &[], "state"),
        ("bad-setting", "inactive", &[], "state"),
        ("not-found", "inactive", inactive, "missing"),
        ("masked", "inactive", inactive, "up"),
        ("bad-setting", "inactive", inactive, "state"),
        ("masked", "active", &[], "degraded"),
        ("not-found", "active", &[], "degraded"),
        ("not-found", "failed", &[], "state"),
    ] {
        assert_eq!(
            verdict(&unit(load, active, "sub"), expect, zero),
            expected,
            "{load} {active}"
        );
    }
}

#[test]
fn messages_contain_the_cause_and_the_next_step() {
    let zero = first(Duration::ZERO);
    let mut failed = unit("loaded", "failed", "failed");
    for (code, status, restarts, expected) in [
        (1, 203, 0, "exit-code, main process exited with status 203"),
        (
            2,
            9,
            1,
            "exit-code, main process killed by signal 9, restarted once",
        ),
        (
            3,
            11,
            5,
            "exit-code, main process dumped core on signal 11, restarted 5 times",
        ),
        (0, 0, 0, "exit-code"),
    ] {
        failed.apply(&Properties::from([
            ("NRestarts", zbus::Variant::from(restarts as u32)),
            ("Result", zbus::Variant::from("exit-code")),
            ("ExecMainCode", zbus::Variant::from(code)),
            ("ExecMainStatus", zbus::Variant::from(status)),
        ]));
        assert_eq!(
            message(&failed, zero),
            format!("x.service is failed: {expected}; see `journalctl -u x.service`")
        );
    }
    for (load, active, sub, expected) in [
        (
            "loaded",
            "failed",
            "failed",
            "x.service is failed; see `journalctl -u x.service`",
        ),
        (
            "loaded",
            "activating",
            "start-pre",
            "x.service has been activating (start-pre) for 7 s (start_grace: 45 s); see `journalctl -u x.service`",
        ),
        (
            "loaded",
            "inactive",
            "dead",
            "x.service is inactive (dead); start it with `systemctl start x.service`, or see `journalctl -u x.service`",
        ),
        (
            "masked",
            "inactive",
            "dead",
            "x.service is masked; to allow starting it, run `systemctl unmask x.service`",
        ),
        (
            "masked",
            "active",
            "running",
            "x.service is active, but can't be restarted: its unit file is now \"masked\"",
        ),
        (
            "loaded",
            "levitating",
            "high",
            "x.service is in the state \"levitating\" (high), which this version of the exporter does not know; update the \
             exporter",
        ),
    ] {
        assert_eq!(
            message(&unit(load, active, sub), first(Duration::from_secs(7))),
            expected
        );
    }
}
