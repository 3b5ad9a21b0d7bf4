//! The configuration of systemd checks.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::duration::DurationText;
use super::place::{Invalid, Place, all};
use super::resource_limits::{ResourceOptions, ResourceSettings, over_limit_schema};
use super::size::SizeText;
use super::suggest;
use crate::model::words;

words! {
    /// The `ActiveState` of a unit.
    UnitState {
        /// Running, or finished successfully with `RemainAfterExit=`.
        Active = "active",
        /// Running, and reloading its configuration.
        Reloading = "reloading",
        /// Running, and its mounts are being refreshed.
        Refreshing = "refreshing",
        /// Not running.
        Inactive = "inactive",
        /// Ended with an error.
        Failed = "failed",
        /// Starting.
        Activating = "activating",
        /// Stopping.
        Deactivating = "deactivating",
        /// Not available because of a maintenance operation in progress.
        Maintenance = "maintenance",
    }
}

/// The default time for a unit to start.
const DEFAULT_START_GRACE: Duration = Duration::from_secs(45);

/// systemd.unit(5): "unit names ... must not exceed 255 characters".
const MAX_UNIT_NAME: usize = 255;

/// The types of units, which are the suffixes of their names (systemd.unit(5), "Description").
const UNIT_TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// The options of a systemd check, which checks the state of a unit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemdOptions {
    /// The unit: `nginx.service`, `backup.timer`, `worker@2.service`. The suffix .service is added if there is none.
    #[schemars(extend("examples" = ["nginx.service", "backup.timer"]))]
    #[schemars(length(min = 1))]
    pub unit: Option<String>,
    /// Expected states, such as `[inactive, activating]` for a oneshot service that a timer starts. Default: the unit must be
    /// running.
    #[schemars(schema_with = "states_schema")]
    pub expect: Option<Vec<String>>,
    /// How long the unit may be starting (`activating`), counted from when it was last active. Until then it is degraded, then down.
    /// Default: 45s.
    pub start_grace: Option<DurationText>,
    /// D-Bus address of the bus of systemd, such as `unix:path=/run/user/1000/bus` for a user's manager. Default: the
    /// environment variable `DBUS_SYSTEM_BUS_ADDRESS`, or else the system bus.
    #[schemars(regex(pattern = ":"))]
    pub bus_address: Option<String>,
    /// Whether to measure what the unit uses: CPU time, memory, tasks, IO and OOM kills. Default: true.
    pub resources: Option<bool>,
    /// From this memory on, the check warns: `500MB`. The inactive part of the page cache does not count. Default: none.
    #[schemars(extend("not" = { "enum": [0, "0"] }))]
    pub memory_below: Option<SizeText>,
    /// From this share of the unit's own memory limit on, the check warns: 0.9 for 90 %. No effect without such a limit. Default:
    /// none.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub memory_share_below: Option<f64>,
    /// From this number of CPUs in use on, averaged over about 5 s, the check warns: 1.5. Default: none.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_below: Option<f64>,
    /// From this number of processes and threads on, the check warns. Default: none.
    #[schemars(range(min = 1))]
    pub tasks_below: Option<u64>,
    /// What a reached limit does: `warning` (the check is degraded) or `failure` (the run fails). Default: warning.
    #[schemars(schema_with = "over_limit_schema")]
    pub over_limit: Option<String>,
}

fn states_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = UnitState::ALL.iter().map(|state| state.as_str()).collect();
    json_schema!({
        "type": ["array", "null"],
        "minItems": 1,
        "items": { "type": "string", "enum": words }
    })
}

/// The settings of a systemd check.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemdSettings {
    /// The name of the unit with its suffix, valid by the rules of systemd.unit(5).
    pub unit: String,
    /// The expected states.
    pub expect: Expect,
    /// How long the unit may be activating, counted from when it was last active.
    pub start_grace: Duration,
    /// The bus of systemd.
    pub bus: BusAddress,
    /// What is measured and limited of what the unit uses.
    pub resources: ResourceSettings,
}

/// The expected states of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The unit is running.
    Running,
    /// Any of these states, at least one.
    States(Vec<UnitState>),
}

impl Expect {
    /// Whether an active unit is as expected.
    pub fn includes_active(&self) -> bool {
        match self {
            Self::Running => true,
            Self::States(states) => states.contains(&UnitState::Active),
        }
    }
}

/// A D-Bus message bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BusAddress {
    /// The system bus: `DBUS_SYSTEM_BUS_ADDRESS`, else the well-known socket.
    System,
    /// An address in D-Bus's notation, `unix:` or `tcp:`.
    Address(String),
}

impl SystemdOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<SystemdSettings, Invalid> {
        let unit = match self.unit {
            None => Err(place.error("unit is missing: write the unit to check, such as unit: nginx.service")),
            Some(unit) => unit_name(&unit).map_err(|wrong| place.field("unit").error(wrong)),
        };
        let expect = match self.expect {
            None => Ok(Expect::Running),
            Some(words) => expected_states(&words, &place.field("expect")),
        };
        let bus = match self.bus_address {
            None => Ok(BusAddress::System),
            Some(address) => bus_address(address, &place.field("bus_address")),
        };
        let resources = ResourceOptions {
            resources: self.resources,
            memory_below: self.memory_below,
            memory_share_below: self.memory_share_below,
            cpu_below: self.cpu_below,
            tasks_below: self.tasks_below,
            over_limit: self.over_limit,
        };
        let resources = resources.resolve(place);
        Ok(SystemdSettings {
            unit: unit?,
            expect: expect?,
            start_grace: self.start_grace.map_or(DEFAULT_START_GRACE, |grace| grace.0),
            bus: bus?,
            resources: resources?,
        })
    }
}

impl SystemdSettings {
    /// The name of the unit.
    pub fn target(&self) -> String {
        self.unit.clone()
    }
}

fn expected_states(words: &[String], place: &Place<'_>) -> Result<Expect, Invalid> {
    if words.is_empty() {
        return Err(place.error(format!(
            "empty list: remove this key, or write states out of {}",
            all_states().collect::<Vec<_>>().join(", ")
        )));
    }
    all(words.iter().enumerate().map(|(index, word)| {
        UnitState::from_word(word).ok_or_else(|| {
            let message = suggest::unknown("unit state", word, all_states());
            place.index(index).error(message)
        })
    }))
    .map(Expect::States)
}

fn all_states() -> impl Iterator<Item = &'static str> + Clone {
    UnitState::ALL.iter().map(|state| state.as_str())
}

fn bus_address(address: String, place: &Place<'_>) -> Result<BusAddress, Invalid> {
    let advice =
        "write an address such as unix:path=/run/dbus/system_bus_socket or unix:path=/run/user/1000/bus";
    if address.contains(';') {
        return Err(place.error(format!("more than one D-Bus address: {advice}")));
    }
    match address.parse::<zbus::Address>() {
        Ok(_) => Ok(BusAddress::Address(address)),
        Err(_) => Err(place.error(format!(
            "\"{}\" is not a D-Bus address: {advice}",
            address.chars().take(80).collect::<String>()
        ))),
    }
}

/// Validates the name of a unit by the rules of systemd.unit(5), and adds a missing suffix.
///
/// # Errors
/// What is wrong with the name, and what to write.
pub fn unit_name(written: &str) -> Result<String, String> {
    let shown: String = written.chars().take(80).collect();
    if written.is_empty() {
        return Err("empty: write the name of a unit, such as nginx.service".to_owned());
    }
    if let Some(wrong) = written.chars().find(|c| !is_name_char(*c)) {
        let advice = match wrong {
            '/' => "for the unit of a path, use the output of `systemd-escape --path --suffix=mount PATH`",
            '*' | '?' | '[' | ']' => "patterns are not supported, add one check per unit",
            _ => "use letters, digits and : - _ . \\ @, and escape others with `systemd-escape`",
        };
        return Err(format!(
            "\"{shown}\" is not the name of a unit because of '{wrong}': {advice}"
        ));
    }
    let name = match written.rsplit_once('.') {
        Some((_, suffix)) if UNIT_TYPES.contains(&suffix) => written.to_owned(),
        Some((stem, suffix)) => match near_type(suffix) {
            Some(meant) => {
                return Err(format!(
                    "\"{shown}\" has an unknown suffix: did you mean \"{stem}.{meant}\"?"
                ));
            }
            None => format!("{written}.service"),
        },
        None => format!("{written}.service"),
    };
    if name.len() > MAX_UNIT_NAME {
        return Err(format!(
            "{} characters long: systemd allows {MAX_UNIT_NAME}",
            name.len()
        ));
    }
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    match stem.split_once('@') {
        _ if stem.is_empty() => Err(format!(
            "\"{shown}\" is only a suffix: write the whole name of the unit"
        )),
        Some(("", _)) => Err(format!(
            "\"{shown}\" has no name before the @: write the name of the template"
        )),
        Some((template, "")) => Err(format!(
            "\"{shown}\" is a template, which has no state: write an instance of it, such as {template}@1{}",
            &name[stem.len()..]
        )),
        _ => Ok(name),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@')
}

fn near_type(suffix: &str) -> Option<&'static str> {
    UNIT_TYPES
        .into_iter()
        .find(|known| strsim::damerau_levenshtein(&suffix.to_lowercase(), known) <= 1)
}

impl super::KindFacts for SystemdSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "unit" => Some(1),
            // active, reloading, refreshing, inactive, failed, activating, deactivating, maintenance
            "state" => Some(8),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
