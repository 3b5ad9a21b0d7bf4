//! The exporter as its users run it: the binary, its flags, signals, log lines and what it serves.

#![allow(clippy::unwrap_used)]

mod certificates;
mod command_line;
#[path = "../common/mod.rs"]
mod common;
mod discover;
mod expensive;
mod faults;
mod files;
mod hanging_mount;
mod heal;
mod heartbeat;
mod maintenance;
mod monitor;
mod process_groups;
mod provider;
mod quiet;
mod reflected;
mod reloading;
mod status;
mod stopped;
#[path = "../rules/tools.rs"]
#[allow(dead_code)]
mod tools;
mod turned_off;

use common::exporter::{Exporter, LONG};
