//! Runs commands of the operator so that nothing they start outlives its limits.
//!
//! Between the exporter and a command stands a process of its own, the supervisor: the exporter's binary with the hidden command
//! `supervise`. Processes whose parent ends become its children (PR_SET_CHILD_SUBREAPER), even if they left their session, so it
//! finds and kills all of them. It does so when the command ends, when the exporter cancels the run, and when the exporter dies: in
//! each case its control socket is closed.

mod client;
mod descendants;
mod process;
mod report;

pub use client::{Job, Output, RunError, Supervisor};
pub use process::{SuperviseFlags, supervise};
pub use report::Ended;
