//! Prints maintenance windows.

use std::fmt::Write;

use crate::cli::show::clean;
use crate::cli::show::{fit, width};
use crate::maintenance::{WindowRow, WindowState};

/// The gap between columns.
const GAP: &str = "  ";

/// The widest column but the last, so that a window with many services leaves space for its reason.
const MAX_COLUMN: usize = 40;

/// A table of windows: those that hold, and planned ones.
pub fn table(windows: &[WindowRow]) -> String {
    if windows.is_empty() {
        return "no maintenance windows\n".to_owned();
    }
    let header = ["ID", "STATE", "START", "END", "SERVICES", "BY", "REASON"].map(str::to_owned);
    let rows = windows.iter().map(|window| {
        [
            clean(&window.id),
            state(window.state).to_owned(),
            clean(&window.start),
            clean(&window.end),
            clean(&window.scope.to_string()),
            window
                .by
                .as_deref()
                .map_or_else(|| "configuration".to_owned(), clean),
            clean(&window.reason),
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(header).chain(rows).collect();
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(|column| widest(column).min(MAX_COLUMN)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{}{GAP}", fit(cell, *width));
        }
        line.push_str(&row[6]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A line per changed window.
pub fn changes(windows: &[WindowRow]) -> String {
    let mut out = String::new();
    for window in windows {
        let (id, scope) = (clean(&window.id), clean(&window.scope.to_string()));
        let (end, reason) = (clean(&window.end), clean(&window.reason));
        let _ = match window.state {
            WindowState::Ended => writeln!(out, "{id}: maintenance of {scope} ended"),
            _ => writeln!(out, "{id}: {scope} in maintenance until {end}: {reason}"),
        };
    }
    out
}

const fn state(state: WindowState) -> &'static str {
    match state {
        WindowState::Active => "active",
        WindowState::Planned => "planned",
        WindowState::Ended => "ended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintenance::Scope;

    fn row(id: &str, services: &[&str], by: Option<&str>) -> WindowRow {
        WindowRow {
            id: id.to_owned(),
            state: by.map_or(WindowState::Planned, |_| WindowState::Active),
            scope: Scope {
                services: services.iter().map(ToString::to_string).collect(),
                all: services.is_empty(),
                ..Scope::default()
            },
            start: "2026-01-01T00:00:00Z".to_owned(),
            end: "2026-01-01T01:00:00Z".to_owned(),
            by: by.map(str::to_owned),
            reason: "disk\u{1b}[2J".to_owned(),
        }
    }

    #[test]
    fn windows_are_listed_in_columns() {
        let windows = [row("m1", &["api", "db"], Some("root")), row("backup", &[], None)];
        assert_eq!(
            table(&windows),
            "ID      STATE    START                 END                   SERVICES      BY             REASON\n\
             m1      active   2026-01-01T00:00:00Z  2026-01-01T01:00:00Z  api, db       root           disk [2J\n\
             backup  planned  2026-01-01T00:00:00Z  2026-01-01T01:00:00Z  all services  configuration  disk [2J\n"
        );
        assert_eq!(table(&[]), "no maintenance windows\n");
    }

    #[test]
    fn a_change_is_one_line() {
        let mut window = row("m1", &["api"], Some("root"));
        assert_eq!(
            changes(std::slice::from_ref(&window)),
            "m1: api in maintenance until 2026-01-01T01:00:00Z: disk [2J\n"
        );
        window.state = WindowState::Ended;
        assert_eq!(changes(&[window]), "m1: maintenance of api ended\n");
    }
}
