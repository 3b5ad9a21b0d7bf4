//! The web server over real sockets: what it answers, and that no client can take it away from the others.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod answers;
mod api;
mod badges;
mod browsers;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod discovery;
mod events;
mod heartbeat;
mod history;
mod hostile;
mod models;
mod old_readers;
mod openapi;
mod reloads;
mod rendering;
mod stopping;

use common::{config, snapshots};
