//! Formats the services of a report as CSV (RFC 4180).

use csv::{Error, Terminator, WriterBuilder};

use super::document::Report;
use crate::cli::show::escape_formula;

const HEADER: [&str; 18] = [
    "from",
    "to",
    "group",
    "service",
    "name",
    "instance",
    "uptime_ratio",
    "up_seconds",
    "degraded_seconds",
    "down_seconds",
    "unknown_seconds",
    "maintenance_seconds",
    "no_data_seconds",
    "incidents",
    "response_average_seconds",
    "response_maximum_seconds",
    "objective_ratio",
    "budget_left_ratio",
];

/// Formats the services, with a header.
///
/// # Errors
/// None in practice: it writes to memory, and all rows have the same number of fields.
pub fn format_csv(report: &Report) -> Result<String, Error> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(HEADER)?;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for row in &report.services {
        let times = &row.times;
        writer.write_record([
            report.period.from.to_string(),
            report.period.to.to_string(),
            escape_formula(&row.group),
            escape_formula(&row.key),
            escape_formula(&row.name),
            escape_formula(&row.instance),
            number(row.uptime_ratio),
            times.up.to_string(),
            times.degraded.to_string(),
            times.down.to_string(),
            times.unknown.to_string(),
            times.maintenance.to_string(),
            times.no_data.to_string(),
            row.incidents.to_string(),
            number(row.response_average_seconds),
            number(row.response_maximum_seconds),
            number(row.objective_ratio),
            number(row.budget_left_ratio),
        ])?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
