//! Jobs that must report: they send beats to the exporter, and their checks are up as long as beats arrive in time.
//!
//! `job` is the state of one job, and `assess` decides what the state means at a moment; both are pure. `away` knows when the exporter
//! itself could not receive beats. `registry` finds the job of a token and limits how often a job may report. `timekeeper` requests runs
//! of checks, and keeps the states of all jobs in a `file`.

mod assess;
mod away;
mod file;
mod job;
mod limit;
mod messages;
mod registry;
#[cfg(test)]
mod tests;
mod timekeeper;
mod token;
mod view;

pub use assess::{Assessment, Verdict};
pub use job::Beat;
pub use messages::MAX_MESSAGE_BYTES;
pub use registry::{Accepted, Evaluation, Heartbeats, Refusal};
