//! The facts about a process that names may use.

use std::collections::BTreeMap;

/// The facts about a process that names may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// The name, at most 15 bytes (`.Comm`).
    pub comm: String,
    /// The last part of `exe_full` (`.ExeBase`).
    pub exe_base: String,
    /// The first argument, or the name if there is none (`.ExeFull`).
    pub exe_full: String,
    /// The name of the effective user (`.Username`).
    pub username: String,
    /// The process id (`.PID`).
    pub pid: i64,
    /// When it started, in nanoseconds after 1970 (`.StartTime`).
    pub start_nanoseconds: i64,
    /// The named groups of the expressions for the command line (`.Matches`).
    pub matches: BTreeMap<String, String>,
    /// The paths of its control groups (`.Cgroups`).
    pub cgroups: Vec<String>,
}
