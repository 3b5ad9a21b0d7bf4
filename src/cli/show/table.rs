//! The table: services by group, what is wrong below each one that is not up, and a summary.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use textwrap::WordSplitter;

use super::report::{CheckRow, Document, ServiceRow};
use super::texts::{age, fit, latency, width};
use crate::model::Status;

/// The column in which what is wrong begins.
const INDENT: &str = "            ";
/// What a row has beside the name: two spaces before it, the status, the latency, and the gaps.
const BESIDE_NAME: usize = 2 + STATUS + 2 + 2 + LATENCY;
const STATUS: usize = 8;
const LATENCY: usize = 8;
/// The widest age, `59m 59s`, with its gap and "for".
const AGE: usize = 2 + 4 + 7;
/// A name keeps this many columns, however narrow the terminal is.
const MIN_NAME: usize = 8;
/// A message keeps this many, likewise.
const MIN_MESSAGE: usize = 20;

/// How a table is to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The columns that a line may take; `None` for as many as it needs.
    pub width: Option<usize>,
    /// Whether to colour.
    pub is_coloured: bool,
}

/// The whole table, with a line break at its end.
pub fn table(document: &Document, look: Look) -> String {
    let mut out = String::new();
    let has_ages = document.services.iter().any(|service| service.age.is_some());
    let beside = BESIDE_NAME + if has_ages { AGE } else { 0 };
    let widest = document.services.iter().map(|service| width(&service.name)).max();
    let most = look
        .width
        .map_or(usize::MAX, |width| width.saturating_sub(beside));
    let name = widest.unwrap_or(0).min(most).max(MIN_NAME);
    for group in &document.summary.groups {
        let _ = writeln!(out, "{}", look.paint(Style::new().bold(), &group.name));
        for service in &document.services {
            if service.group == group.name {
                row(&mut out, service, name, look);
            }
        }
        out.push('\n');
    }
    summary(&mut out, document, look);
    out
}

fn row(out: &mut String, service: &ServiceRow, name: usize, look: Look) {
    let status = look.paint(
        style(service.status),
        &format!("{:<STATUS$}", service.status.as_str()),
    );
    let took = service.latency().map_or_else(|| "-".to_owned(), latency);
    let mut line = format!("  {status}  {}  {took:>LATENCY$}", fit(&service.name, name));
    if let Some(lasts) = service.age {
        let _ = write!(line, "  for {}", age(lasts));
    }
    let _ = writeln!(out, "{line}");
    if service.status == Status::Up {
        return;
    }
    for check in service.troubles() {
        wrapped(out, &trouble(check), look);
    }
    if let Some(advice) = &service.advice {
        wrapped(out, &format!("advice: {advice}"), look);
    }
}

fn trouble(check: &CheckRow) -> String {
    match (&check.reason, &check.message) {
        (Some(reason), Some(message)) => format!("{}: {reason}: {message}", check.name),
        (Some(text), None) | (None, Some(text)) => format!("{}: {text}", check.name),
        (None, None) if check.status == Status::Unknown => format!("{}: no recent result", check.name),
        (None, None) => format!("{}: {}", check.name, check.status),
    }
}

/// Lines below a row. A message may hold one long word (a URL), which is broken where it must be.
fn wrapped(out: &mut String, text: &str, look: Look) {
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

fn summary(out: &mut String, document: &Document, look: Look) {
    let groups: Vec<String> = document
        .summary
        .groups
        .iter()
        .map(|group| format!("{} {}/{}", group.name, group.counts.up, group.counts.total))
        .collect();
    let groups = groups.join(", ");
    let lines = match look.width {
        Some(columns) => textwrap::wrap(&groups, columns),
        None => vec![groups.into()],
    };
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let all = &document.summary.all;
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
