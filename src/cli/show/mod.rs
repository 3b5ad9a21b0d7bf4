//! Shows statuses as a table, JSON or CSV.

mod csv;
mod flags;
mod report;
mod screen;
mod table;
mod texts;

pub use csv::escape_formula;
pub use flags::ShowFlags;
pub use report::{CheckRow, MaintenanceRow, ServiceRow, StatusReport};
pub use screen::{RoundError, repeat};
#[cfg(test)]
pub use table::{Look, format_table};
pub use texts::{age, clean, fit, latency, now, rfc3339, width};
