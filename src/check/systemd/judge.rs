//! Compares a unit with the settings. Pure functions.

use crate::check::unit_watch::{Service, Starting, Unit};
use crate::config::systemd::{Expect, SystemdSettings, UnitState};
use crate::model::{Problem, Reason};

/// Returns success, success with a warning, or a failure. `starting` matters only if the unit is activating.
///
/// A unit that starts within `start_grace` is degraded. While it is down, that would end an outage before the unit serves. So the time
/// counts from when the unit was last active, and a unit that fails to start again and again has none.
pub fn judge(
    unit: &Unit,
    settings: &SystemdSettings,
    starting: Starting,
) -> Result<Option<Problem>, Problem> {
    let state = unit.state();
    if state.is_some_and(|state| is_expected(state, unit, &settings.expect)) {
        return match (&*unit.load, state) {
            ("loaded" | "merged" | "stub", _) => Ok(None),
            ("masked", Some(UnitState::Inactive)) => Ok(None),
            (_, Some(UnitState::Inactive)) => Err(not_loaded(unit, &settings.unit)),
            (load, _) => Ok(Some(Problem::new(
                Reason::State,
                format!(
                    "{} is {}, but can't be restarted: its unit file is now \"{load}\"",
                    settings.unit, unit.active
                ),
            ))),
        };
    }
    if is_not_loaded(unit) {
        return Err(not_loaded(unit, &settings.unit));
    }
    let problem = Problem::new(Reason::State, describe(unit, settings, starting));
    if state == Some(UnitState::Activating) && !is_auto_restart(unit) && is_in_grace(&starting, settings) {
        return Ok(Some(problem));
    }
    Err(problem)
}

/// Whether an activating unit still has time. A unit that need not be active, such as a oneshot unit, does not have to have been.
fn is_in_grace(starting: &Starting, settings: &SystemdSettings) -> bool {
    if settings.expect.includes_active() {
        !starting.is_retry && starting.not_active_for < settings.start_grace
    } else {
        starting.lasts < settings.start_grace
    }
}

/// Whether the settings allow this state. Reloading and refreshing units serve, so they count as active. A unit that waits
/// for a restart has failed, even if `activating` is expected.
fn is_expected(state: UnitState, unit: &Unit, expect: &Expect) -> bool {
    let serves = matches!(
        state,
        UnitState::Active | UnitState::Reloading | UnitState::Refreshing
    );
    match expect {
        Expect::Running => serves,
        Expect::States(_) if is_auto_restart(unit) => false,
        Expect::States(states) => states.contains(&state) || (serves && states.contains(&UnitState::Active)),
    }
}

/// Whether the unit waits for a restart: `auto-restart`, and since systemd 254 also `auto-restart-queued`.
fn is_auto_restart(unit: &Unit) -> bool {
    unit.sub.starts_with("auto-restart")
}

/// Whether the unit is inactive because it can't be loaded. For a failed unit, the failure is more useful.
fn is_not_loaded(unit: &Unit) -> bool {
    &*unit.load != "loaded" && &*unit.load != "merged" && unit.state() == Some(UnitState::Inactive)
}

fn not_loaded(unit: &Unit, name: &str) -> Problem {
    let because = match &*unit.load_error {
        "" => String::new(),
        error => format!(" ({error})"),
    };
    match &*unit.load {
        "not-found" => Problem::new(
            Reason::Missing,
            format!("the unit {name} does not exist; see `systemctl list-unit-files`"),
        ),
        "masked" => Problem::new(
            Reason::State,
            format!("{name} is masked; to allow starting it, run `systemctl unmask {name}`"),
        ),
        load => Problem::new(
            Reason::State,
            format!("{name} can't be loaded: {load}{because}; see `systemd-analyze verify {name}`"),
        ),
    }
}

fn describe(unit: &Unit, settings: &SystemdSettings, starting: Starting) -> String {
    let name = &settings.unit;
    let sub = if unit.sub == unit.active {
        String::new()
    } else {
        format!(" ({})", unit.sub)
    };
    let ended = unit.service.as_ref().map(describe_exit).unwrap_or_default();
    let log = format!("see `journalctl -u {name}`");
    match unit.state() {
        Some(UnitState::Activating) if is_auto_restart(unit) => {
            format!("{name} failed and waits for a restart{ended}; {log}")
        }
        Some(UnitState::Activating) => {
            let lasts = starting.lasts.as_secs();
            let grace = settings.start_grace.as_secs();
            let why = if settings.expect.includes_active() && starting.is_retry {
                ", after a start that failed".to_owned()
            } else if starting.not_active_for > starting.lasts {
                format!(
                    ", and has not been active for {} s (start_grace: {grace} s)",
                    starting.not_active_for.as_secs()
                )
            } else {
                format!(" (start_grace: {grace} s)")
            };
            format!("{name} has been activating{sub} for {lasts} s{why}; {log}")
        }
        Some(UnitState::Failed) => format!("{name} is failed{ended}; {log}"),
        Some(UnitState::Inactive) => {
            format!("{name} is inactive{sub}; start it with `systemctl start {name}`, or {log}")
        }
        Some(_) => format!("{name} is {}{sub}; {log}", unit.active),
        None => format!(
            "{name} is in the state \"{}\"{sub}, which this version of the exporter does not know; update the exporter",
            unit.active
        ),
    }
}

/// Describes systemd's result, how the main process ended, and the number of restarts.
fn describe_exit(service: &Service) -> String {
    // CLD_EXITED, CLD_KILLED, CLD_DUMPED: siginfo's codes in bits/siginfo-consts.h.
    let process = match service.main_code {
        1 => format!(", main process exited with status {}", service.main_status),
        2 => format!(", main process killed by signal {}", service.main_status),
        3 => format!(", main process dumped core on signal {}", service.main_status),
        _ => String::new(),
    };
    let restarts = match service.restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        many => format!(", restarted {many} times"),
    };
    format!(": {}{process}{restarts}", service.result)
}

#[cfg(test)]
mod tests;
