//! Formats a report as CSV (RFC 4180), one row per check.

use csv::{Error, Terminator, WriterBuilder};

use super::report::StatusReport;

const HEADER: [&str; 15] = [
    "generated_at",
    "group",
    "service",
    "name",
    "tier",
    "service_status",
    "check",
    "kind",
    "target",
    "status",
    "since",
    "latency_seconds",
    "reason",
    "message",
    "running_since",
];

/// Formats the rows, with a header if requested.
///
/// # Errors
/// None in practice: it writes to memory, and all rows have the same number of fields.
pub fn format_csv(report: &StatusReport, with_header: bool) -> Result<String, Error> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    if with_header {
        writer.write_record(HEADER)?;
    }
    for service in &report.services {
        for check in &service.checks {
            let latency = check.latency_seconds.map(|seconds| seconds.to_string());
            let text = |text: &Option<String>| text.as_deref().map(escape_formula).unwrap_or_default();
            writer.write_record([
                escape_formula(&report.generated_at),
                escape_formula(&service.group),
                escape_formula(&service.key),
                escape_formula(&service.name),
                service.tier.map(|tier| tier.to_string()).unwrap_or_default(),
                service.status.to_string(),
                escape_formula(&check.name),
                escape_formula(&check.kind),
                escape_formula(&check.target),
                check.status.to_string(),
                text(&check.since),
                latency.unwrap_or_default(),
                text(&check.reason),
                text(&check.message),
                text(&check.running_since),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts an apostrophe in front of a text that a spreadsheet could treat as a formula (OWASP, "CSV Injection").
pub fn escape_formula(text: &str) -> String {
    if text.trim_start().starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
