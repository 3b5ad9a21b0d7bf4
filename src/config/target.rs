//! What actions apply to: units and containers.

use std::fmt;

use super::KindSettings;
use super::docker::EngineHost;
use super::systemd::BusAddress;

/// A unit or container.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A systemd unit.
    Unit {
        /// Its name, with the suffix.
        name: String,
        /// The bus of its systemd.
        bus: BusAddress,
    },
    /// A container.
    Container {
        /// Its name or id.
        name: String,
        /// Its engine.
        engine: EngineHost,
    },
}

impl Target {
    /// The unit or container of a check. `None` for checks of anything else.
    pub fn of(settings: &KindSettings) -> Option<Self> {
        match settings {
            KindSettings::Systemd(settings) => Some(Self::Unit {
                name: settings.unit.clone(),
                bus: settings.bus.clone(),
            }),
            KindSettings::Docker(settings) => Some(Self::Container {
                name: settings.container.clone(),
                engine: settings.host.clone(),
            }),
            _ => None,
        }
    }

    /// The name of the unit or container.
    pub fn name(&self) -> &str {
        match self {
            Self::Unit { name, .. } | Self::Container { name, .. } => name,
        }
    }

    /// The name, and where it is. No two units or containers have the same text.
    pub fn full_name(&self) -> String {
        match self {
            Self::Unit {
                name,
                bus: BusAddress::System,
            } => name.clone(),
            Self::Unit {
                name,
                bus: BusAddress::Address(address),
            } => format!("{name} at {address}"),
            Self::Container { engine, .. } => format!("{self} at {engine}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { name, .. } => f.write_str(name),
            Self::Container { name, .. } => write!(f, "container {name}"),
        }
    }
}
