//! What control groups use: CPU time, memory, tasks, IO and OOM kills. Read from the files of the kernel, which costs less than a call
//! to a manager. See the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.

mod files;
mod hierarchy;
mod limits;
mod meter;
mod oom;
mod parse;
mod path;
mod reads;
mod usage;

pub use self::limits::{LimitProblem, Subject, conclude};
pub use self::meter::Meter;
pub use self::path::GroupPath;
pub use self::reads::{Cgroups, MAX_WAIT};
pub use self::usage::{Families, Usage};
pub(in crate::check) use self::usage::{families, family};
