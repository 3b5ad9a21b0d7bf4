//! Checks of installed packages against real environments, and against what the package managers say about them.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod node;
mod python;
