//! Tests of the web configuration file and of listeners other than TCP: real clients (curl, openssl, Prometheus) against the
//! binary.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admin;
mod bad;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod guarded;
mod hostile;
mod reloads;
mod scraping;
mod sockets;
mod users;
mod versions;
