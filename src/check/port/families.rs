//! The metric families of port checks.

use crate::model::{Family, Sample};

/// Whether the port is held.
pub static HELD: Family = Family::gauge(
    "upkeep_port_held",
    &[],
    "Whether a program holds the port: 1 or 0. A TCP port is held if a socket listens on it.",
);

/// Whether the port is in conflict.
pub static CONFLICT: Family = Family::gauge(
    "upkeep_port_conflict",
    &[],
    "Whether another program than expected holds the port, or a program holds a port that must be free: 1 or 0.",
);

/// The sockets.
pub static SOCKETS: Family = Family::gauge(
    "upkeep_port_sockets",
    &[],
    "Sockets that hold the port. There are several with several addresses or with SO_REUSEPORT.",
);

/// The connections that wait.
pub static ACCEPT_QUEUE: Family = Family::gauge(
    "upkeep_port_accept_queue_connections",
    &[],
    "Connections that wait for the program to accept them. Absent for UDP and if nothing listens.",
);

/// The limit of connections that wait.
pub static ACCEPT_QUEUE_LIMIT: Family = Family::gauge(
    "upkeep_port_accept_queue_limit",
    &[],
    "Connections that may wait for the program to accept them (its backlog). Absent for UDP and if unknown.",
);

/// The families of port checks.
pub const FAMILIES: &[&Family] = &[&HELD, &CONFLICT, &SOCKETS, &ACCEPT_QUEUE, &ACCEPT_QUEUE_LIMIT];

/// A sample of a family without labels.
pub fn sample(family: &'static Family, value: f64) -> Sample {
    Sample {
        family,
        labels: Vec::new(),
        value,
    }
}
