//! The configuration of systemd checks.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::duration::DurationText;
use super::place::{Invalid, Place};
use crate::model::words;

words! {
    /// The `ActiveState` of a unit.
    UnitState {
        /// It runs, or did what it had to (`RemainAfterExit=`).
        Active = "active",
        /// It runs, and reads its configuration again.
        Reloading = "reloading",
        /// It runs, and its mounts are being refreshed.
        Refreshing = "refreshing",
        /// It does not run.
        Inactive = "inactive",
        /// It ended badly.
        Failed = "failed",
        /// It is being started.
        Activating = "activating",
        /// It is being stopped.
        Deactivating = "deactivating",
        /// An operation on it is under way during which it can't be used.
        Maintenance = "maintenance",
    }
}

/// How long a unit may take to start before it is down.
const DEFAULT_START_GRACE: Duration = Duration::from_secs(45);

/// systemd.unit(5): "unit names ... must not exceed 255 characters".
const MAX_UNIT_NAME: usize = 255;

/// The types of units, which are the suffixes of their names. systemd.unit(5), "Description".
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

/// A systemd check as it is written: the state of a unit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemdOptions {
    /// The unit: `nginx.service`, `backup.timer`, `worker@2.service`. Without a suffix it is a service.
    #[schemars(extend("examples" = ["nginx.service", "backup.timer"]))]
    pub unit: Option<String>,
    /// States that are as they should be, instead of the usual judgement (`active` and what goes with it). A oneshot
    /// that a timer starts: `[inactive, activating]`.
    #[schemars(schema_with = "states_schema")]
    pub expect: Option<Vec<String>>,
    /// How long the unit may be starting (`activating`) before it is down; degraded until then. 45s by default.
    pub start_grace: Option<DurationText>,
    /// The D-Bus address of the bus that systemd is on: by default the system bus (the environment variable
    /// `DBUS_SYSTEM_BUS_ADDRESS` overrides it). A user's manager: `unix:path=/run/user/1000/bus`.
    pub bus_address: Option<String>,
}

fn states_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = UnitState::ALL.iter().map(|state| state.as_str()).collect();
    json_schema!({
        "type": ["array", "null"],
        "minItems": 1,
        "items": { "type": "string", "enum": words }
    })
}

/// What a systemd check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemdSettings {
    /// The unit's name with its suffix, valid as systemd.unit(5) has it.
    pub unit: String,
    /// Which states are as they should be.
    pub expect: Expect,
    /// How long the unit may be activating.
    pub start_grace: Duration,
    /// Where systemd is found.
    pub bus: BusAddress,
}

/// Which states of a unit are as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The usual judgement: the unit runs.
    Running,
    /// Any of these, at least one.
    States(Vec<UnitState>),
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
    /// Fills in the defaults.
    ///
    /// # Errors
    /// When something is wrong; all of it is reported to `place`.
    pub fn resolve(self, place: &Place<'_>) -> Result<SystemdSettings, Invalid> {
        let unit = match self.unit {
            None => Err(place.error("`unit` is missing: name the unit to watch, such as nginx.service")),
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
        Ok(SystemdSettings {
            unit: unit?,
            expect: expect?,
            start_grace: self.start_grace.map_or(DEFAULT_START_GRACE, |grace| grace.0),
            bus: bus?,
        })
    }
}

impl SystemdSettings {
    /// The unit's name.
    pub fn target(&self) -> String {
        self.unit.clone()
    }
}

fn expected_states(words: &[String], place: &Place<'_>) -> Result<Expect, Invalid> {
    if words.is_empty() {
        return Err(place.error(format!(
            "an empty list expects nothing: leave it out, or name states out of {}",
            all_states()
        )));
    }
    let mut states = Vec::new();
    let mut result = Ok(());
    for (index, word) in words.iter().enumerate() {
        match UnitState::from_word(word) {
            Some(state) => states.push(state),
            None => result = Err(place.index(index).error(unknown_state(word))),
        }
    }
    result.map(|()| Expect::States(states))
}

fn all_states() -> String {
    let words: Vec<&str> = UnitState::ALL.iter().map(|state| state.as_str()).collect();
    words.join(", ")
}

fn unknown_state(word: &str) -> String {
    let lower = word.to_lowercase();
    let near = UnitState::ALL
        .iter()
        .map(|state| (strsim::damerau_levenshtein(&lower, state.as_str()), state))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let shown: String = word.chars().take(40).collect();
    match near {
        Some((_, state)) => format!("\"{shown}\" is not a unit's state: did you mean \"{state}\"?"),
        None => format!(
            "\"{shown}\" is not a unit's state: use some of {} (what `systemctl is-active` prints)",
            all_states()
        ),
    }
}

fn bus_address(address: String, place: &Place<'_>) -> Result<BusAddress, Invalid> {
    let right = "write unix:path=/run/dbus/system_bus_socket, say, or unix:path=/run/user/1000/bus";
    if address.contains(';') {
        return Err(place.error(format!("only one D-Bus address can be given: {right}")));
    }
    match address.parse::<zbus::Address>() {
        Ok(_) => Ok(BusAddress::Address(address)),
        Err(_) => Err(place.error(format!(
            "\"{}\" is not a D-Bus address: {right}",
            address.chars().take(80).collect::<String>()
        ))),
    }
}

/// The full name of the unit that `written` names, checked by the rules of systemd.unit(5); or what is wrong with it.
fn unit_name(written: &str) -> Result<String, String> {
    let shown: String = written.chars().take(80).collect();
    if written.is_empty() {
        return Err("the unit's name is empty: write nginx.service, say".to_owned());
    }
    if let Some(wrong) = written.chars().find(|c| !is_name_char(*c)) {
        let right = match wrong {
            '/' => "the unit of a path is named by `systemd-escape --path --suffix=mount PATH`",
            '*' | '?' | '[' | ']' => "a pattern can't be watched, give each unit its own check",
            _ => "letters, digits and : - _ . \\ @ may stand in one; `systemd-escape` escapes the rest",
        };
        return Err(format!(
            "\"{shown}\" is not a unit's name, because of '{wrong}': {right}"
        ));
    }
    let name = match written.rsplit_once('.') {
        Some((_, suffix)) if UNIT_TYPES.contains(&suffix) => written.to_owned(),
        Some((stem, suffix)) => match near_type(suffix) {
            Some(meant) => {
                return Err(format!(
                    "\"{shown}\" ends in no type of unit: did you mean \"{stem}.{meant}\"?"
                ));
            }
            None => format!("{written}.service"),
        },
        None => format!("{written}.service"),
    };
    if name.len() > MAX_UNIT_NAME {
        return Err(format!(
            "the unit's name is {} characters long: systemd allows {MAX_UNIT_NAME}",
            name.len()
        ));
    }
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    match stem.split_once('@') {
        _ if stem.is_empty() => Err(format!(
            "\"{shown}\" is only a suffix: write the unit's whole name"
        )),
        Some(("", _)) => Err(format!(
            "\"{shown}\" has nothing before its @: write the template's name there"
        )),
        Some((template, "")) => Err(format!(
            "\"{shown}\" is a template, which has no state: name an instance of it, such as {template}@1{}",
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
