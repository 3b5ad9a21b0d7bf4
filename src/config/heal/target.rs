//! Finds the unit or container that a service's actions apply to.

use super::options::HealOptions;
use crate::config::docker::{DockerOptions, EngineHost};
use crate::config::place::{Invalid, Place};
use crate::config::systemd::{BusAddress, unit_name};
use crate::config::target::Target;

/// The types of units that may be healed. A restart of others stops many units, or unmounts file systems.
const UNIT_TYPES: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// Units that the machine, or the exporter's connection to systemd, depends on. So do those that begin with `systemd-`.
const FOUNDATIONS: [&str; 3] = ["dbus.service", "dbus-broker.service", "dbus.socket"];

/// The maximum number of units and containers that a message lists.
const MAX_LISTED: usize = 5;

/// What the checks of a service say about targets.
#[derive(Debug, Default)]
pub struct Candidates {
    /// The units of its systemd checks.
    pub units: Vec<(String, BusAddress)>,
    /// The containers of its docker checks.
    pub containers: Vec<(String, EngineHost)>,
    /// The name of a check of a database, broker or store.
    pub store: Option<String>,
}

/// What actions can apply to.
pub enum Found {
    /// Nothing.
    None,
    /// This.
    One(Target),
    /// Any of these names.
    Several(String),
}

/// Finds the target of a service, which wrote `options` at `place`.
///
/// # Errors
/// Reported at the options.
pub fn find_target(
    options: Option<&HealOptions>,
    found: &Candidates,
    place: &Place<'_>,
) -> Result<Found, Invalid> {
    let unit = options.and_then(|options| options.unit.as_ref());
    let container = options.and_then(|options| options.container.as_ref());
    let target = match (unit, container) {
        (Some(_), Some(_)) => {
            return Err(place
                .field("container")
                .error_at_key("unit and container exclude each other: remove one"));
        }
        (Some(unit), None) => {
            let place = place.field("unit");
            let name = unit_name(unit).map_err(|wrong| place.error(wrong))?;
            let known = found.units.iter().find(|(known, _)| *known == name);
            let bus = known.map_or(BusAddress::System, |(_, bus)| bus.clone());
            return allowed_unit(name, bus, &place).map(Found::One);
        }
        (None, Some(name)) => {
            let known = found.containers.iter().find(|(known, _)| known == name);
            match known.cloned() {
                Some((name, engine)) => Target::Container { name, engine },
                None => {
                    let options = DockerOptions {
                        container: Some(name.clone()),
                        ..DockerOptions::default()
                    };
                    let settings = options.resolve(place)?;
                    Target::Container {
                        name: settings.container,
                        engine: settings.host,
                    }
                }
            }
        }
        (None, None) => return Ok(sole_target(found)),
    };
    Ok(Found::One(target))
}

/// The only unit or container of the service's checks.
fn sole_target(found: &Candidates) -> Found {
    let units = found
        .units
        .iter()
        .filter(|(name, _)| why_forbidden(name).is_none());
    let units = units.map(|(name, bus)| Target::Unit {
        name: name.clone(),
        bus: bus.clone(),
    });
    let containers = found.containers.iter();
    let containers = containers.map(|(name, engine)| Target::Container {
        name: name.clone(),
        engine: engine.clone(),
    });
    let mut targets: Vec<Target> = Vec::new();
    for target in units.chain(containers) {
        if !targets.iter().any(|known| known.name() == target.name()) {
            targets.push(target);
        }
    }
    if targets.len() > 1 {
        let mut names: Vec<&str> = targets.iter().take(MAX_LISTED).map(Target::name).collect();
        if targets.len() > MAX_LISTED {
            names.push("...");
        }
        return Found::Several(names.join(", "));
    }
    targets.pop().map_or(Found::None, Found::One)
}

fn allowed_unit(name: String, bus: BusAddress, place: &Place<'_>) -> Result<Target, Invalid> {
    match why_forbidden(&name) {
        Some(why) => Err(place.error(format_args!("{name} can't be healed: {why}"))),
        None => Ok(Target::Unit { name, bus }),
    }
}

/// Why a unit can't be healed. `None` if it can.
fn why_forbidden(name: &str) -> Option<&'static str> {
    if !UNIT_TYPES.iter().any(|suffix| name.ends_with(suffix)) {
        return Some("use a service, socket, timer or path");
    }
    let is_foundation = name.starts_with("systemd-") || FOUNDATIONS.contains(&name);
    is_foundation.then_some("the machine depends on it; restart it by hand")
}
