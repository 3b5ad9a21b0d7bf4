//! Tests of systemd checks with a real systemd.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

#[path = "systemd/actuator.rs"]
mod actuator;
#[path = "systemd/bus.rs"]
mod bus;
#[path = "systemd/discover.rs"]
mod discover;
#[path = "systemd/discover_many.rs"]
mod discover_many;
#[path = "systemd/exporter_safeguards.rs"]
mod exporter_safeguards;
#[path = "systemd/heal.rs"]
mod heal;
#[path = "systemd/healed_units.rs"]
mod healed_units;
#[path = "systemd/heartbeat.rs"]
mod heartbeat;
#[path = "systemd/machine.rs"]
mod machine;
#[path = "systemd/port.rs"]
mod port;
#[path = "systemd/proxy.rs"]
mod proxy;
#[path = "systemd/resources.rs"]
mod resources;
#[path = "systemd/safeguards.rs"]
mod safeguards;
#[path = "systemd/service.rs"]
mod service;
#[path = "systemd/storm.rs"]
mod storm;
#[path = "systemd/support.rs"]
mod support;
#[path = "systemd/units.rs"]
mod units;
