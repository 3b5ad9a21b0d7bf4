//! Heals services: decides when a failed service is restarted, and never more often than its budget allows.
//!
//! [`policy`] decides. It is pure: a history, settings and evidence give a decision. [`history`] is what was done before, and
//! [`HistoryFile`] saves it before every action. [`Healer`] is the loop that collects evidence and acts through a
//! [`Control`].

pub mod backoff;
mod command;
mod commands;
mod control;
mod encoding;
pub mod evidence;
mod file;
mod healer;
pub mod history;
mod log;
mod machine;
pub mod policy;
pub mod record;
mod request;
mod round;
mod shared;
mod snapshot;
mod system_control;
mod time_anchor;
mod view;
mod wall_clock;

#[cfg(test)]
mod tests;

pub use control::{BoxFuture, Control};
pub use encoding::{ContentError, decode, encode};
pub use file::HistoryFile;
pub use healer::{HealSetup, Healer};
pub use request::{DecisionRow, PauseRow, Request, Response, ServiceRow};
pub use system_control::SystemControl;
pub use time_anchor::TimeAnchor;
pub use view::{HealView, ServiceHealView};
