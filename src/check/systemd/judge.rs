//! Whether a unit is as it should be. Pure: facts and settings in, verdict out.

use std::time::Duration;

use super::unit::{Service, Unit};
use crate::config::systemd::{Expect, SystemdSettings, UnitState};
use crate::model::{Problem, Reason};

/// Success, success with a warning, or failure. `activating_for` is how long the unit has been activating.
pub fn judge(
    unit: &Unit,
    settings: &SystemdSettings,
    activating_for: Duration,
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
                    "{} is {}, but could not be started again: its unit file is now \"{load}\"",
                    settings.unit, unit.active
                ),
            ))),
        };
    }
    if is_never_loaded(unit) {
        return Err(not_loaded(unit, &settings.unit));
    }
    let problem = Problem::new(Reason::State, describe(unit, settings, activating_for));
    if state == Some(UnitState::Activating) && !is_auto_restart(unit) && activating_for < settings.start_grace
    {
        return Ok(Some(problem));
    }
    Err(problem)
}

/// Reloading and refreshing units do their work, so whoever expects active expects them too. A unit that waits to be
/// restarted has failed, whatever is expected of one that is starting.
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

/// `auto-restart`, since systemd 254 also `auto-restart-queued`.
fn is_auto_restart(unit: &Unit) -> bool {
    unit.sub.starts_with("auto-restart")
}

/// Whether the reason for the unit's state is that it can't be loaded. One that failed tells more by its failure.
fn is_never_loaded(unit: &Unit) -> bool {
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
            format!("systemd knows no unit {name}: `systemctl list-unit-files` shows what there is"),
        ),
        "masked" => Problem::new(
            Reason::State,
            format!("{name} is masked: `systemctl unmask {name}` lets it be started"),
        ),
        load => Problem::new(
            Reason::State,
            format!("{name} can't be loaded: {load}{because}; `systemd-analyze verify {name}` tells more"),
        ),
    }
}

fn describe(unit: &Unit, settings: &SystemdSettings, activating_for: Duration) -> String {
    let name = &settings.unit;
    let sub = if unit.sub == unit.active {
        String::new()
    } else {
        format!(" ({})", unit.sub)
    };
    let ended = unit.service.as_ref().map(how_it_ended).unwrap_or_default();
    let log = format!("`journalctl -u {name}` tells more");
    match unit.state() {
        Some(UnitState::Activating) if is_auto_restart(unit) => {
            format!("{name} failed and waits to be restarted{ended}; {log}")
        }
        Some(UnitState::Activating) => format!(
            "{name} has been activating{sub} for {} s, {} s are allowed; {log}",
            activating_for.as_secs(),
            settings.start_grace.as_secs()
        ),
        Some(UnitState::Failed) => format!("{name} is failed{ended}; {log}"),
        Some(UnitState::Inactive) => {
            format!("{name} is inactive{sub}: `systemctl start {name}` starts it; {log}")
        }
        Some(_) => format!("{name} is {}{sub}; {log}", unit.active),
        None => format!(
            "{name} is in the state \"{}\"{sub}, which this exporter does not know; is there a newer one?",
            unit.active
        ),
    }
}

/// systemd's result, how the main process ended, and how often that was tried.
fn how_it_ended(service: &Service) -> String {
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
