//! Port checks against real sockets and processes.

mod addresses;
mod holders;
mod isolation;
mod speed;
mod support;
