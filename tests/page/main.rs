//! The status page in a real browser: what it shows, that it stays fresh without being disturbed, that foreign texts stay
//! texts, and that everybody can use it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod actions;
mod browser;
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod fresh;
mod history;
mod models;
mod secured;
mod served;
mod several;
mod streams;
