//! Tests of healing: the loop with a fake systemd, and the history file with killed writers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod kills;
mod rounds;
mod saved;
mod stage;
