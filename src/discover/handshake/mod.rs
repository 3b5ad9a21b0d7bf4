//! Recognizes the server of a port, with at most one connection.

mod choice;
mod http;
mod recognize;
mod talk;

pub use choice::{Handshake, choose};
pub use talk::Talker;
