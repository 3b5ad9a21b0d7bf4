//! All kinds of components at an interval of one second, each a real server, and what people see when something happens to
//! them. Each test has a network, mounts and processes of its own.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod component;
mod matrix;
mod own;
mod soak;
mod stack;
mod watch;
