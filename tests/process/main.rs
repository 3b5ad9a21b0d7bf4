//! Tests of process, port and host checks: with real processes, with fake /proc directories, and with few privileges.

// Test helpers may panic. Clippy allows that only in test functions.
#![allow(clippy::unwrap_used)]

mod fake;
mod host;
mod own_command;
mod port;
mod privileges;
mod real;
mod real_odd;
mod scanner;
mod speed;
mod support;
