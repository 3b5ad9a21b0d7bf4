//! Formats a report as a table: services by group, problems below each service that is not up, and a summary.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use textwrap::WordSplitter;

use super::report::{MaintenanceRow, ServiceRow, StatusReport};
use super::texts::{age, fit, latency, width};
use crate::model::Status;

/// The indent of problems.
const INDENT: &str = "            ";
/// The width of a row without the name: indent, status, latency and gaps.
const OTHER_COLUMNS: usize = 2 + STATUS + 2 + 2 + LATENCY;
const STATUS: usize = 8;
const LATENCY: usize = 8;
/// The width of the longest age, `59m 59s`, with its gap and "for".
const AGE: usize = 2 + 4 + 7;
/// The width of the longest uptime, with its gap and "running".
const UPTIME: usize = 2 + 8 + 7;
/// The minimum width of names, even on narrow terminals.
const MIN_NAME: usize = 8;
/// The minimum width of messages, even on narrow terminals.
const MIN_MESSAGE: usize = 20;

/// The look of a table.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The maximum width of a line; `None` for no limit.
    pub width: Option<usize>,
    /// Whether to use colours.
    pub is_coloured: bool,
}

/// Formats the whole table, with a line break at the end.
pub fn format_table(report: &StatusReport, look: Look) -> String {
    let mut out = String::new();
    let has_ages = report.services.iter().any(|service| service.age.is_some());
    let has_uptimes = report.services.iter().any(|service| service.uptime.is_some());
    let other = OTHER_COLUMNS + if has_ages { AGE } else { 0 } + if has_uptimes { UPTIME } else { 0 };
    let widest = report.services.iter().map(|service| width(&service.name)).max();
    let max = look.width.map_or(usize::MAX, |width| width.saturating_sub(other));
    let name_width = widest.unwrap_or(0).min(max).max(MIN_NAME);
    for group in &report.summary.groups {
        let _ = writeln!(out, "{}", look.paint(Style::new().bold(), &group.name));
        for service in &report.services {
            if service.group == group.name {
                write_row(&mut out, service, name_width, look);
            }
        }
        out.push('\n');
    }
    write_summary(&mut out, report, look);
    out
}

fn write_row<'a>(out: &mut String, service: &'a ServiceRow, name_width: usize, look: Look) {
    let status = look.paint(
        style(service.status),
        &format!("{:<STATUS$}", service.status.as_str()),
    );
    let latency = service.latency().map_or_else(|| "-".to_owned(), latency);
    let mut line = format!(
        "  {status}  {}  {latency:>LATENCY$}",
        fit(&service.name, name_width)
    );
    if let Some(duration) = service.age {
        let _ = write!(line, "  for {}", age(duration));
    }
    if let Some(uptime) = service.uptime {
        // Aligned, if all rows have an age or none does.
        let gap = service
            .age
            .map_or(0, |duration| (AGE - 6).saturating_sub(age(duration).len()));
        let _ = write!(line, "{:gap$}  running {}", "", age(uptime));
    }
    let _ = writeln!(out, "{line}");
    if let Some(maintenance) = &service.maintenance {
        write_wrapped(out, &describe_maintenance(maintenance), look);
    }
    if service.status == Status::Up {
        return;
    }
    if let Some(impact) = describe_impact(service) {
        write_wrapped(out, &impact, look);
    }
    let mut shown: Vec<&str> = Vec::new();
    let mut write_advice = |out: &mut String, advice: Option<&'a String>| {
        // Several checks can have the same advice.
        if let Some(advice) = advice.filter(|advice| !shown.contains(&advice.as_str())) {
            shown.push(advice);
            write_wrapped(out, &format!("advice: {advice}"), look);
        }
    };
    for check in service.failing_checks() {
        write_wrapped(out, &check.describe(), look);
        if let Some(fix) = &check.fix {
            write_wrapped(out, &format!("fix: {fix}"), look);
        }
        write_advice(out, check.advice.as_ref());
    }
    write_advice(out, service.advice.as_ref());
}

fn describe_maintenance(maintenance: &MaintenanceRow) -> String {
    let MaintenanceRow { ends, reason, by } = maintenance;
    let by = by
        .as_ref()
        .map_or_else(String::new, |by| format!(", started by {by}"));
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    format!("maintenance until {ends}{by}{reason}")
}

fn describe_impact(service: &ServiceRow) -> Option<String> {
    let verb = match service.root_causes.len() {
        0 => return None,
        1 => "is",
        _ => "are",
    };
    Some(format!(
        "impacted: {} {verb} down",
        service.root_causes.join(", ")
    ))
}

/// Writes indented lines below a row. Long words in a message, such as URLs, are broken if necessary.
fn write_wrapped(out: &mut String, text: &str, look: Look) {
    let Some(columns) = look.width else {
        let _ = writeln!(out, "{INDENT}{text}");
        return;
    };
    let hanging = format!("{INDENT}  ");
    let options = textwrap::Options::new(columns.max(INDENT.len() + 2 + MIN_MESSAGE))
        .initial_indent(INDENT)
        .subsequent_indent(&hanging)
        .word_splitter(WordSplitter::NoHyphenation);
    for line in textwrap::wrap(text, options) {
        let _ = writeln!(out, "{line}");
    }
}

fn write_summary(out: &mut String, report: &StatusReport, look: Look) {
    let groups: Vec<String> = report
        .summary
        .groups
        .iter()
        // Degraded services work, as in the dashboards. The last line counts them apart.
        .map(|group| {
            let counts = &group.counts;
            format!("{} {}/{}", group.name, counts.up + counts.degraded, counts.total)
        })
        .collect();
    let groups = groups.join(", ");
    let lines = match look.width {
        Some(columns) => textwrap::wrap(&groups, columns),
        None => vec![groups.into()],
    };
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let all = &report.summary.all;
    let counts: Vec<String> = Status::ALL
        .iter()
        .filter(|status| all.of(**status) > 0)
        .map(|status| look.paint(style(*status), &format!("{} {status}", all.of(*status))))
        .collect();
    let noun = if all.total == 1 { "service" } else { "services" };
    let _ = writeln!(out, "{} {noun}: {}", all.total, counts.join(", "));
}

const fn style(status: Status) -> Style {
    let colour = match status {
        Status::Up => AnsiColor::Green,
        Status::Degraded => AnsiColor::Yellow,
        Status::Down => AnsiColor::Red,
        Status::Unknown => AnsiColor::Magenta,
    };
    colour.on_default().bold()
}

impl Look {
    fn paint(self, style: Style, text: &str) -> String {
        if self.is_coloured {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
