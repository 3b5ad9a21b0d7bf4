//! Faults of real servers, one for each kind of component, with checks every second: what metrics show, and when. Each test
//! has its own network, mounts and processes.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod component;
mod matrix;
mod own;
mod soak;
mod stack;
mod watch;
