//! What the exporter lacks itself is no news of its targets: descriptors, ports, time. Real limits of the system, and targets
//! that are well or hang throughout.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod limited;
mod overload;
mod ports;
mod time;
