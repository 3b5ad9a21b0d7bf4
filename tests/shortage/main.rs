//! A lack of descriptors, ports or time in the exporter says nothing about its targets. These tests use real limits of the
//! system, and targets that are healthy or hang all the time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod limited;
mod overload;
mod ports;
mod time;
