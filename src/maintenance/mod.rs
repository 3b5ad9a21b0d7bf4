//! Maintenance windows: those of the configuration, and those that operators start with the command `maintenance`.
//!
//! [`Manager`] decides once a second which windows hold, and passes them to the store, which suppresses alerts. `active` is the
//! pure part. Windows of commands are saved in the state directory. They last a duration, so a step of the wall clock does not
//! change their length. Windows of the configuration follow the wall clock.

mod active;
mod command_window;
mod commands;
mod file;
mod manager;
mod request;

#[cfg(test)]
mod tests;

pub use manager::Manager;
pub use request::{Request, Response, Scope, WindowRow, WindowState};
