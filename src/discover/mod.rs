//! Finds the services of this machine and writes a configuration for them. `look` collects facts, read-only and bounded: units over
//! D-Bus, sockets and processes, containers over the engine's API, and one connection to each port. Pure functions group the facts to
//! services and write them as YAML.

mod classify;
mod containers;
mod continuous;
mod difference;
mod facts;
mod grouping;
mod handshake;
mod look;
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

pub use continuous::Continuous;
pub use difference::Difference;
pub use look::Options;

use look::{Heards, look};

/// Looks at the machine once, and returns a complete configuration file.
pub async fn discover(options: &Options) -> String {
    let facts = look(options, &Heards::new()).await;
    let services = grouping::services(&facts, &options.addresses);
    render::file(&services, &facts.gaps)
}
