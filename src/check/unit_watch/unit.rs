//! The known state of a unit, from the properties that systemd publishes. See org.freedesktop.systemd1(5).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use zbus::Variant;

use crate::config::systemd::UnitState;

/// The maximum length of a stored word (a state, a result), in bytes. systemd's words have at most 20.
const MAX_WORD: usize = 64;

/// The maximum length of a stored load error, in bytes.
const MAX_LOAD_ERROR: usize = 240;

/// A unit that was active for less than this time did not start successfully.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// The maximum length of a stored control group, in bytes. Longer ones are not stored.
const MAX_CONTROL_GROUP: usize = 2048;

/// systemd's result of a unit whose process the kernel or systemd-oomd killed for lack of memory.
const OOM_KILL: &str = "oom-kill";

/// Properties by name, as in `GetAll` and `PropertiesChanged`.
pub type Properties<'a> = HashMap<&'a str, Variant<'a>>;

/// The state of a unit as last received from systemd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    /// `LoadState`: loaded, not-found, masked, bad-setting, error, ...
    pub load: Box<str>,
    /// The message of `LoadError`, if the unit could not be loaded.
    pub load_error: Box<str>,
    /// `ActiveState`.
    pub active: Box<str>,
    /// `SubState`. Its values depend on the unit's type.
    pub sub: Box<str>,
    /// `ActiveEnterTimestamp`: Unix time in microseconds, 0 if the unit was never active.
    pub active_enter: u64,
    /// `InactiveExitTimestampMonotonic`, in microseconds.
    inactive_exit: u64,
    /// `ActiveEnterTimestampMonotonic`, in microseconds.
    active_enter_monotonic: u64,
    /// `ActiveExitTimestampMonotonic`, in microseconds.
    active_exit: u64,
    /// `ControlGroup`, as last requested: signals do not contain it. `None` before the first start, and for units without processes.
    pub control_group: Option<Arc<str>>,
    /// How often the `Result` became oom-kill. The first known `Result` does not count: it may be of long ago.
    pub oom_results: u32,
    /// Whether a `Result` is known.
    has_result: bool,
    /// Whether the last known `Result` is oom-kill.
    pub is_oom_killed: bool,
    /// The properties of a service.
    pub service: Option<Service>,
}

/// The properties that only services have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// `NRestarts`: automatic restarts since the service was last started manually.
    pub restarts: u32,
    /// `Result`: success, exit-code, signal, core-dump, timeout, oom-kill, start-limit-hit, ...
    pub result: Box<str>,
    /// `ExecMainCode`: how the main process ended, a CLD_ value of waitid(2).
    pub main_code: i32,
    /// `ExecMainStatus`: the exit status, or the signal that ended the main process.
    pub main_status: i32,
}

/// The start in progress of an activating unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starting {
    /// How long it has been activating.
    pub lasts: Duration,
    /// How long it has not been active. If it never was, the same as `lasts`.
    pub not_active_for: Duration,
    /// systemd restarted it automatically, after a start that did not last.
    pub is_retry: bool,
}

impl Unit {
    /// Sets the values of one row of `ListUnitsByNames`.
    pub fn apply_row(&mut self, load: &str, active: &str, sub: &str) {
        set(&mut self.load, load, MAX_WORD);
        set(&mut self.active, active, MAX_WORD);
        set(&mut self.sub, sub, MAX_WORD);
    }

    /// Whether the state equals the values of a row of `ListUnitsByNames`.
    pub fn is_in(&self, load: &str, active: &str, sub: &str) -> bool {
        *self.load == *load && *self.active == *active && *self.sub == *sub
    }

    /// Sets the reason why the unit can't be loaded.
    pub fn set_load_error(&mut self, text: &str) {
        set(&mut self.load_error, text, MAX_LOAD_ERROR);
    }

    /// Sets the values that `properties` contain. The others do not change.
    pub fn apply(&mut self, properties: &Properties<'_>) {
        set_word(&mut self.load, properties, "LoadState");
        set_word(&mut self.active, properties, "ActiveState");
        set_word(&mut self.sub, properties, "SubState");
        if let Some(Variant::Structure(error)) = properties.get("LoadError")
            && let [_, Variant::Str(message)] = error.fields()
        {
            self.set_load_error(message.as_str());
        }
        set_u64(&mut self.active_enter, properties, "ActiveEnterTimestamp");
        set_u64(
            &mut self.inactive_exit,
            properties,
            "InactiveExitTimestampMonotonic",
        );
        set_u64(
            &mut self.active_enter_monotonic,
            properties,
            "ActiveEnterTimestampMonotonic",
        );
        set_u64(&mut self.active_exit, properties, "ActiveExitTimestampMonotonic");
        if let Some(Variant::Str(path)) = properties.get("ControlGroup")
            && (1..=MAX_CONTROL_GROUP).contains(&path.len())
            && self.control_group.as_deref() != Some(path.as_str())
        {
            self.control_group = Some(path.as_str().into());
        }
        if let Some(Variant::Str(result)) = properties.get("Result") {
            let is_oom_killed = result.as_str() == OOM_KILL;
            if is_oom_killed && !self.is_oom_killed && self.has_result {
                self.oom_results = self.oom_results.saturating_add(1);
            }
            self.is_oom_killed = is_oom_killed;
            self.has_result = true;
        }
        // Sockets, mounts and others also have a `Result`; only services count restarts.
        if let Some(Variant::U32(restarts)) = properties.get("NRestarts") {
            self.service.get_or_insert_default().restarts = *restarts;
        }
        if let Some(service) = &mut self.service {
            set_word(&mut service.result, properties, "Result");
            if let Some(Variant::I32(code)) = properties.get("ExecMainCode") {
                service.main_code = *code;
            }
            if let Some(Variant::I32(status)) = properties.get("ExecMainStatus") {
                service.main_status = *status;
            }
        }
    }

    /// The state; `None` if it is not a known one.
    pub fn state(&self) -> Option<UnitState> {
        UnitState::from_word(&self.active)
    }

    /// Whether the unit may have processes.
    pub fn is_started(&self) -> bool {
        !matches!(
            self.state(),
            None | Some(UnitState::Inactive | UnitState::Failed | UnitState::Maintenance)
        )
    }

    /// Since when the unit runs, in Unix time; `None` while it does not.
    pub fn running_since(&self) -> Option<f64> {
        let is_running = matches!(
            self.state(),
            Some(UnitState::Active | UnitState::Reloading | UnitState::Refreshing)
        );
        (is_running && self.active_enter > 0).then(|| Duration::from_micros(self.active_enter).as_secs_f64())
    }

    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        &*self.load != "not-found"
    }

    /// The start in progress of an activating unit, by systemd's timestamps. `now` is CLOCK_MONOTONIC in microseconds. `None` if the
    /// timestamps are unusable. With `RestartMode=direct`, a unit goes from active to activating without becoming inactive.
    /// So the start counts from the later exit, that from inactive or that from active.
    pub fn starting(&self, now: u64) -> Option<Starting> {
        let began = self.inactive_exit.max(self.active_exit);
        if began == 0 {
            return None;
        }
        let last_active = if self.active_exit == 0 {
            began
        } else {
            self.active_exit
        };
        let active_for = self.active_exit.saturating_sub(self.active_enter_monotonic);
        Some(Starting {
            lasts: Duration::from_micros(now.checked_sub(began)?),
            not_active_for: Duration::from_micros(now.checked_sub(last_active)?),
            is_retry: self.service.as_ref().is_some_and(|service| service.restarts > 0)
                && Duration::from_micros(active_for) < STABLE_AFTER,
        })
    }

    /// Whether the difference from `other` needs a run of the check: a different state or a restart does, a timestamp alone
    /// does not.
    pub fn differs(&self, other: &Self) -> bool {
        // A unit without details counts as one without restarts.
        let restarts = |unit: &Self| unit.service.as_ref().map_or(0, |service| service.restarts);
        !self.is_in(&other.load, &other.active, &other.sub) || restarts(self) != restarts(other)
    }
}

/// Sets `target` to the text, truncated to at most `max` bytes.
fn set(target: &mut Box<str>, text: &str, max: usize) {
    let fits = |(start, _): &(usize, char)| *start <= max;
    let text = match text.char_indices().take_while(fits).last() {
        Some((end, _)) if text.len() > max => &text[..end],
        _ => text,
    };
    if **target != *text {
        *target = text.into();
    }
}

fn set_word(target: &mut Box<str>, properties: &Properties<'_>, name: &str) {
    if let Some(Variant::Str(text)) = properties.get(name) {
        set(target, text.as_str(), MAX_WORD);
    }
}

fn set_u64(target: &mut u64, properties: &Properties<'_>, name: &str) {
    if let Some(Variant::U64(value)) = properties.get(name) {
        *target = *value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_received_values_change_and_lengths_are_bounded() {
        let mut unit = Unit::default();
        unit.apply_row("loaded", "active", "running");
        let long = "é".repeat(100);
        unit.apply(&Properties::from([
            ("SubState", Variant::from(long.as_str())),
            ("ActiveEnterTimestamp", Variant::from(7_u64)),
            ("ActiveState", Variant::from(1_u32)),
        ]));
        assert_eq!((&*unit.active, unit.active_enter), ("active", 7));
        assert_eq!(unit.sub.len(), MAX_WORD);
        assert_eq!(unit.service, None);
    }

    #[test]
    fn only_new_results_of_oom_kills_are_counted() {
        let mut unit = Unit::default();
        let mut apply = |result: &'static str| {
            unit.apply(&Properties::from([("Result", Variant::from(result))]));
            (unit.oom_results, unit.is_oom_killed)
        };
        assert_eq!(apply("success"), (0, false));
        assert_eq!(apply("oom-kill"), (1, true));
        assert_eq!(apply("oom-kill"), (1, true));
        assert_eq!(apply("success"), (1, false));
        assert_eq!(apply("oom-kill"), (2, true));
        let mut killed_before = Unit::default();
        killed_before.apply(&Properties::from([("Result", Variant::from("oom-kill"))]));
        assert_eq!(
            (killed_before.oom_results, killed_before.is_oom_killed),
            (0, true)
        );
    }

    #[test]
    fn the_control_group_stays_until_another_one_is_known() {
        let mut unit = Unit::default();
        let long = format!("/{}", "x".repeat(MAX_CONTROL_GROUP));
        for (path, expected) in [
            ("", None),
            ("/a.service", Some("/a.service")),
            ("", Some("/a.service")),
            (&long, Some("/a.service")),
            ("/b.slice/a.service", Some("/b.slice/a.service")),
        ] {
            unit.apply(&Properties::from([("ControlGroup", Variant::from(path))]));
            assert_eq!(unit.control_group.as_deref(), expected);
        }
    }

    #[test]
    fn the_start_counts_only_while_the_unit_runs() {
        let mut unit = Unit {
            active_enter: 2_500_000,
            ..Unit::default()
        };
        for (active, since, is_started) in [
            ("active", Some(2.5), true),
            ("reloading", Some(2.5), true),
            ("activating", None, true),
            ("deactivating", None, true),
            ("inactive", None, false),
            ("failed", None, false),
            ("levitating", None, false),
        ] {
            unit.apply_row("loaded", active, "");
            assert_eq!(
                (unit.running_since(), unit.is_started()),
                (since, is_started),
                "{active}"
            );
        }
    }

    #[test]
    fn restarts_make_it_a_service() {
        let mut unit = Unit::default();
        unit.apply(&Properties::from([("Result", Variant::from("success"))]));
        assert_eq!(unit.service, None);
        unit.apply(&Properties::from([
            ("NRestarts", Variant::from(3_u32)),
            ("Result", Variant::from("exit-code")),
            ("ExecMainCode", Variant::from(1_i32)),
            ("ExecMainStatus", Variant::from(42_i32)),
        ]));
        let service = unit.service.unwrap();
        assert_eq!((service.restarts, &*service.result), (3, "exit-code"));
        assert_eq!((service.main_code, service.main_status), (1, 42));
    }

    #[test]
    fn a_start_counts_from_the_later_exit() {
        let starting = |inactive_exit, active_exit| {
            let unit = Unit {
                inactive_exit,
                active_exit,
                ..Unit::default()
            };
            let starting = unit.starting(5)?;
            Some((starting.lasts.as_micros(), starting.not_active_for.as_micros()))
        };
        assert_eq!(starting(0, 0), None);
        assert_eq!(starting(3, 0), Some((2, 2)), "it was never active");
        assert_eq!(starting(3, 4), Some((1, 1)), "it did not become inactive");
        assert_eq!(starting(3, 1), Some((2, 4)));
        assert_eq!(starting(6, 0), None);
    }

    #[test]
    fn a_restart_after_a_start_that_did_not_last_is_a_retry() {
        const SECOND: u64 = 1_000_000;
        for (restarts, active_enter, active_exit, is_retry) in [
            (0, 0, 0, false),
            (1, 0, 0, true),
            (0, 20 * SECOND, 21 * SECOND, false),
            (1, 20 * SECOND, 21 * SECOND, true),
            (1, 20 * SECOND, 30 * SECOND, false),
        ] {
            let unit = Unit {
                inactive_exit: 40 * SECOND,
                active_enter_monotonic: active_enter,
                active_exit,
                service: Some(Service {
                    restarts,
                    ..Service::default()
                }),
                ..Unit::default()
            };
            assert_eq!(unit.starting(41 * SECOND).unwrap().is_retry, is_retry, "{unit:?}");
        }
    }
}
