//! Finds the services of this machine and writes a configuration for them. `look` collects facts, read-only and bounded: units over
//! D-Bus, sockets and processes, containers over the engine's API, and one connection to each port. Pure functions group the facts to
//! services and write them as YAML.

mod classify;
mod compare;
mod containers;
mod continuous;
mod difference;
mod facts;
mod grouping;
mod handshake;
mod hear;
mod look;
mod memory;
mod merge;
mod pages;
mod plumbing;
mod port_checks;
mod processes;
mod projects;
mod render;
mod service;
mod sockets;
#[cfg(test)]
mod tests;
mod texts;
mod units;

use std::collections::BTreeSet;

pub use continuous::Continuous;
pub use difference::Difference;
pub use facts::Running;
pub use look::Options;

use look::{Pace, look};
use memory::Memory;

/// What one look at the machine found.
#[derive(Debug)]
pub struct Discovered {
    /// A complete configuration file.
    pub text: String,
    /// What runs, including what is left out of the file.
    pub running: Running,
    /// What could not be seen.
    pub gaps: BTreeSet<String>,
}

/// Looks at the machine once.
pub async fn discover(options: &Options) -> Discovered {
    let facts = look(options, Pace::Thorough, &Memory::default()).await;
    let services = grouping::services(&facts, &options.addresses);
    Discovered {
        text: render::file(&services, &facts.gaps),
        running: facts.running,
        gaps: facts.gaps,
    }
}
