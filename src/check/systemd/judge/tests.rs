//! Every state, as it is judged usually and against an expectation.

use super::*;
use crate::check::systemd::unit::Properties;
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
    }
}

fn unit(load: &str, active: &str, sub: &str) -> Unit {
    let mut unit = Unit::default();
    unit.apply_row(load, active, sub);
    unit
}

/// `up`, `degraded`, or the reason of the failure.
fn verdict(unit: &Unit, expect: &[UnitState], activating_for: Duration) -> &'static str {
    match judge(unit, &settings(expect), activating_for) {
        Ok(None) => "up",
        Ok(Some(_)) => "degraded",
        Err(problem) => problem.reason.as_str(),
    }
}

fn message(unit: &Unit, activating_for: Duration) -> String {
    let judged = judge(unit, &settings(&[]), activating_for);
    let problem = judged.unwrap_or_else(Some).expect("a problem");
    problem.message().to_owned()
}

#[test]
fn the_usual_judgement() {
    let brief = Duration::from_secs(44);
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
        verdict(&unit("loaded", "activating", "start"), &[], GRACE),
        "state"
    );
}

#[test]
fn an_expectation_overrules_it() {
    use UnitState::{Activating, Active, Failed, Inactive};
    let zero = Duration::ZERO;
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

#[test]
fn how_it_is_loaded_matters_where_it_does_not_run() {
    let zero = Duration::ZERO;
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
fn messages_say_what_happened_and_what_to_do() {
    let zero = Duration::ZERO;
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
            format!("x.service is failed: {expected}; `journalctl -u x.service` tells more")
        );
    }
    for (load, active, sub, expected) in [
        (
            "loaded",
            "failed",
            "failed",
            "x.service is failed; `journalctl -u x.service` tells more",
        ),
        (
            "loaded",
            "activating",
            "start-pre",
            "x.service has been activating (start-pre) for 7 s, 45 s are allowed; `journalctl -u x.service` tells more",
        ),
        (
            "loaded",
            "inactive",
            "dead",
            "x.service is inactive (dead): `systemctl start x.service` starts it; `journalctl -u x.service` tells more",
        ),
        (
            "masked",
            "inactive",
            "dead",
            "x.service is masked: `systemctl unmask x.service` lets it be started",
        ),
        (
            "masked",
            "active",
            "running",
            "x.service is active, but could not be started again: its unit file is now \"masked\"",
        ),
        (
            "loaded",
            "levitating",
            "high",
            "x.service is in the state \"levitating\" (high), which this exporter does not know; is there a newer one?",
        ),
    ] {
        assert_eq!(
            message(&unit(load, active, sub), Duration::from_secs(7)),
            expected
        );
    }
}
