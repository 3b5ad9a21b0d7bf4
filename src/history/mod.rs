//! The past of the services: how long each one was up, degraded, down, unknown or in maintenance, its response times, and its changes of
//! status.
//!
//! [`History`] observes the store every second, and saves to the state directory. [`recorder`](Recorder) is the pure part: it turns
//! observations into buckets. [`Reader`] reads buckets, totals and incidents by service and range.

mod bucket;
mod budget;
mod bytes;
mod change;
mod encoding;
mod file;
mod keeper;
mod kept;
mod live;
mod observe;
mod reader;
mod record;
mod recorder;
mod series;
mod strips;

#[cfg(test)]
mod tests;

pub use bucket::Step;
pub use change::Change;
#[doc(hidden)]
pub use file::save_copy;
pub use keeper::History;
pub use reader::{Incident, PastBucket, Range, Reader};
pub use recorder::Recorder;
