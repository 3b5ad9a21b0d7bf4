//! What to do with which unit or container, and the result.

use std::fmt;

use crate::config::KindSettings;
use crate::config::docker::EngineHost;
use crate::config::systemd::BusAddress;
use crate::model::words;

words! {
    /// What to do with a unit or container.
    Action {
        /// Start it. A running one does not change.
        Start = "start",
        /// Stop it. A stopped one does not change.
        Stop = "stop",
        /// Stop it, if it runs, and start it.
        Restart = "restart",
    }
}

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
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { name, .. } => f.write_str(name),
            Self::Container { name, .. } => write!(f, "container {name}"),
        }
    }
}

/// The result of a successful action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The action is complete.
    Changed,
    /// There was nothing to do: it was in the wanted state already, or systemd skipped the job because of a condition.
    Unchanged,
}

/// What to do if systemd already has another job for the unit, such as a stop job when it is to be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Replace the other job, as `systemctl` does. For actions of a person.
    #[default]
    Replace,
    /// Fail. For automatic actions: a person or another program has the unit in hand.
    Fail,
}
