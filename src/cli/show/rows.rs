//! The same as CSV: one row a check, as RFC 4180 has it.

use super::report::Document;

const HEADER: [&str; 14] = [
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
];

/// The rows, after a header where `with_header`.
///
/// # Errors
/// None: the writer is memory, and every row has as many fields as the header.
pub fn rows(document: &Document, with_header: bool) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if with_header {
        writer.write_record(HEADER)?;
    }
    for service in &document.services {
        for check in &service.checks {
            let latency = check.latency_seconds.map(|seconds| seconds.to_string());
            let text = |text: &Option<String>| text.as_deref().map(harmless).unwrap_or_default();
            writer.write_record([
                harmless(&document.generated_at),
                harmless(&service.group),
                harmless(&service.key),
                harmless(&service.name),
                service.tier.map(|tier| tier.to_string()).unwrap_or_default(),
                service.status.to_string(),
                harmless(&check.name),
                harmless(&check.kind),
                harmless(&check.target),
                check.status.to_string(),
                text(&check.since),
                latency.unwrap_or_default(),
                text(&check.reason),
                text(&check.message),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A text that a spreadsheet does not take for a formula (OWASP, "CSV Injection"): where it begins as one, an apostrophe
/// comes before it.
fn harmless(text: &str) -> String {
    if text.trim_start().starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
