//! The state of a unit, from the properties that systemd returns. See org.freedesktop.systemd1(5).

use std::collections::HashMap;
use std::time::Duration;

use zbus::Variant;

/// The maximum length of a stored word (a state, a result), in characters. systemd's words have at most 20.
const MAX_WORD: usize = 64;

/// Properties by name, as in `GetAll`.
pub(super) type Properties<'a> = HashMap<&'a str, Variant<'a>>;

/// The state of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// `LoadState`: loaded, not-found, masked, bad-setting, error, ...
    pub load: String,
    /// `ActiveState`: active, inactive, failed, activating, deactivating, ...
    pub active: String,
    /// `SubState`. Its values depend on the unit's type.
    pub sub: String,
    /// `UnitFileState`: enabled, disabled, static, masked, ...; empty if it is unknown.
    pub file_state: String,
    /// `Result`: success, exit-code, signal, timeout, start-limit-hit, ...; empty for types of units without one.
    pub result: String,
    /// `Restart`: on which results systemd restarts a service (`no`, `on-failure`, `always`, ...); empty for other units.
    pub restart: String,
    /// The id of the job that is queued or running for the unit.
    pub job: Option<u32>,
    /// `NRestarts`: automatic restarts since the last manual start. Absent for other units than services.
    pub restarts: Option<u32>,
    /// `ActiveEnterTimestamp`: when it last became active, in microseconds of Unix time; 0 if never.
    pub active_enter: u64,
    /// `ActiveEnterTimestampMonotonic`: the same on CLOCK_MONOTONIC.
    pub active_enter_monotonic: u64,
    /// `ActiveExitTimestampMonotonic`: when it last left the state active, on CLOCK_MONOTONIC; 0 if never.
    pub active_exit_monotonic: u64,
    /// `InactiveExitTimestampMonotonic`: when systemd last began to start it, on CLOCK_MONOTONIC; 0 if never.
    pub inactive_exit_monotonic: u64,
    /// `ExecMainExitTimestampMonotonic`: when its main process last exited, on CLOCK_MONOTONIC; 0 if never. Only for services.
    pub main_exit_monotonic: u64,
    /// `InactiveEnterTimestamp`: when it last became inactive or failed, in microseconds of Unix time; 0 if never.
    pub inactive_enter: u64,
    /// `InactiveEnterTimestampMonotonic`: the same on CLOCK_MONOTONIC.
    pub inactive_enter_monotonic: u64,
}

impl UnitStatus {
    /// Takes the values from the properties of a unit.
    pub(super) fn from_properties(properties: &Properties<'_>) -> Self {
        let word = |name: &str| match properties.get(name) {
            Some(Variant::Str(text)) => text.as_str().chars().take(MAX_WORD).collect(),
            _ => String::new(),
        };
        let time = |name: &str| match properties.get(name) {
            Some(Variant::U64(value)) => *value,
            _ => 0,
        };
        let job = match properties.get("Job") {
            Some(Variant::Structure(job)) => match job.fields() {
                [Variant::U32(id), _] => (*id != 0).then_some(*id),
                _ => None,
            },
            _ => None,
        };
        Self {
            load: word("LoadState"),
            active: word("ActiveState"),
            sub: word("SubState"),
            file_state: word("UnitFileState"),
            result: word("Result"),
            restart: word("Restart"),
            job,
            restarts: match properties.get("NRestarts") {
                Some(Variant::U32(restarts)) => Some(*restarts),
                _ => None,
            },
            active_enter: time("ActiveEnterTimestamp"),
            active_enter_monotonic: time("ActiveEnterTimestampMonotonic"),
            active_exit_monotonic: time("ActiveExitTimestampMonotonic"),
            inactive_exit_monotonic: time("InactiveExitTimestampMonotonic"),
            main_exit_monotonic: time("ExecMainExitTimestampMonotonic"),
            inactive_enter: time("InactiveEnterTimestamp"),
            inactive_enter_monotonic: time("InactiveEnterTimestampMonotonic"),
        }
    }

    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        self.load != "not-found"
    }

    /// Whether the unit is masked, so that it can't be started.
    pub fn is_masked(&self) -> bool {
        self.load == "masked"
    }

    /// Whether the unit runs, or is starting.
    pub fn is_started(&self) -> bool {
        matches!(
            self.active.as_str(),
            "active" | "reloading" | "refreshing" | "activating"
        )
    }

    /// Whether the unit is stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }

    /// Whether systemd waits to restart the unit (`Restart=`).
    pub fn is_auto_restarting(&self) -> bool {
        matches!(self.sub.as_str(), "auto-restart" | "auto-restart-queued")
    }

    /// Whether systemd refuses to start the unit because it was started too often (`StartLimitBurst=`).
    pub fn has_hit_start_limit(&self) -> bool {
        self.result == "start-limit-hit"
    }

    /// Whether the service failed with a result on which systemd restarts it (systemd.service(5), `Restart=`), but does not. Usually it
    /// has hit its start limit: systemd keeps the result of the last failure then, so [`Self::has_hit_start_limit`] does not show it.
    pub fn has_given_up_restarting(&self) -> bool {
        let is_abnormal = matches!(
            self.result.as_str(),
            "signal" | "core-dump" | "timeout" | "watchdog" | "oom-kill"
        );
        let should_restart = match self.restart.as_str() {
            "always" | "on-failure" => {
                is_abnormal || matches!(self.result.as_str(), "exit-code" | "protocol")
            }
            "on-abnormal" => is_abnormal,
            "on-abort" => matches!(self.result.as_str(), "signal" | "core-dump"),
            "on-watchdog" => self.result == "watchdog",
            _ => false,
        };
        should_restart && self.active == "failed" && !self.is_auto_restarting() && self.job.is_none()
    }

    /// How long the unit has been active. `now` is CLOCK_MONOTONIC in microseconds. `None` if it is not active.
    pub fn active_for(&self, now: u64) -> Option<Duration> {
        let is_active = matches!(self.active.as_str(), "active" | "reloading" | "refreshing");
        let since = self.active_enter_monotonic;
        (is_active && since > 0).then(|| Duration::from_micros(now.saturating_sub(since)))
    }
}

#[cfg(test)]
mod tests {
    use zbus::{ObjectPath, Structure};

    use super::*;

    #[test]
    fn values_are_taken_from_the_properties() {
        let job = |id: u32| Variant::from(Structure::from((id, ObjectPath::from_static_str_unchecked("/"))));
        let mut properties = Properties::from([
            ("LoadState", Variant::from("loaded")),
            ("ActiveState", Variant::from("active")),
            ("SubState", Variant::from("running")),
            ("Result", Variant::from("success")),
            ("NRestarts", Variant::from(2_u32)),
            ("Job", job(0)),
            ("ActiveEnterTimestampMonotonic", Variant::from(3_000_000_u64)),
        ]);
        let status = UnitStatus::from_properties(&properties);
        assert!(status.exists() && status.is_started() && !status.is_stopped());
        assert_eq!((status.restarts, status.job), (Some(2), None));
        assert_eq!(status.active_for(5_000_000), Some(Duration::from_secs(2)));
        assert_eq!(status.active_for(0), Some(Duration::ZERO));

        properties.insert("Job", job(7));
        properties.insert("ActiveState", Variant::from("activating"));
        properties.insert("SubState", Variant::from("auto-restart"));
        let status = UnitStatus::from_properties(&properties);
        assert_eq!(status.job, Some(7));
        assert!(status.is_auto_restarting() && status.active_for(5_000_000).is_none());
    }

    #[test]
    fn a_service_that_systemd_should_restart_and_does_not_has_hit_its_limit() {
        let gave_up = |restart: &str, active: &str, result: &str| {
            let status = UnitStatus {
                restart: restart.to_owned(),
                active: active.to_owned(),
                result: result.to_owned(),
                ..UnitStatus::default()
            };
            status.has_given_up_restarting()
        };
        assert!(gave_up("always", "failed", "exit-code") && gave_up("on-failure", "failed", "signal"));
        assert!(!gave_up("no", "failed", "exit-code") && !gave_up("on-abnormal", "failed", "exit-code"));
        assert!(!gave_up("always", "activating", "exit-code") && !gave_up("always", "inactive", "success"));
    }

    #[test]
    fn values_of_other_types_are_absent() {
        let properties = Properties::from([
            ("ActiveState", Variant::from(1_u32)),
            ("NRestarts", Variant::from("many")),
            ("Job", Variant::from("none")),
        ]);
        assert_eq!(UnitStatus::from_properties(&properties), UnitStatus::default());
    }
}
