//! The metric families of exec checks.

use crate::model::Family;

/// The exit status.
pub static EXIT_STATUS: Family = Family::gauge(
    "upkeep_exec_exit_status",
    &[],
    "Exit status of the program in the last conclusive run, so never 3 with format nagios. Absent if it did not end by itself.",
);

/// Values from the output.
pub static VALUE: Family = Family::gauge(
    "upkeep_exec_value",
    &["name", "unit", "labels"],
    "Value from the output of the program: performance data in seconds, bytes or as a ratio, or a sample of the text format.",
);

/// All families of exec checks.
pub const FAMILIES: &[&Family] = &[&EXIT_STATUS, &VALUE];
