//! Formats a report as tables for a terminal, and as Markdown.

use std::fmt::Write;

use super::document::Report;
use super::sections::{Section, sections, title};
use crate::cli::show::{fit, width};

/// The maximum width of a column; longer texts are truncated.
const MAX_COLUMN: usize = 60;

/// Formats the report for a terminal.
pub fn format_table(report: &Report) -> String {
    let mut out = format!("{}\n", title(report));
    for section in sections(report) {
        let _ = write!(out, "\n{}\n", section.title);
        write_rows(&mut out, &section);
        if let Some(note) = &section.note {
            let _ = writeln!(out, "  {note}");
        }
    }
    out
}

fn write_rows(out: &mut String, section: &Section) {
    let header: Vec<String> = section.header.iter().map(ToString::to_string).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&header).chain(&section.rows).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            rows.iter()
                .map(|row| width(&row[column]))
                .max()
                .unwrap_or(0)
                .min(MAX_COLUMN)
        })
        .collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| fit(cell, *width))
            .collect();
        let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
    }
}

/// Formats the report as Markdown.
pub fn format_markdown(report: &Report) -> String {
    let mut out = format!("# {}\n", title(report));
    for section in sections(report) {
        let _ = write!(
            out,
            "\n## {}\n\n| {} |\n|{}\n",
            section.title,
            section.header.join(" | "),
            " --- |".repeat(section.header.len())
        );
        for row in &section.rows {
            let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        if let Some(note) = &section.note {
            let _ = write!(out, "\n{note}\n");
        }
    }
    let _ = write!(out, "\nSource: {}\n", report.source);
    out
}

/// Escapes what Markdown would read as markup in a table.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_{}[]<>#|!&~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
