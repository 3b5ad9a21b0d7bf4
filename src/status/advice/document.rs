//! Generates docs/ADVICE.md from the advice.

use std::fmt::Write;

use super::{UNKNOWN, advice, shortage};
use crate::model::{CheckKind, Reason, Shortage};

const OPENING: &str = "\
# Advice

<!-- Generated from src/status/advice.rs. To update: `make update`. -->

What to do about a failed check, by its reason and its kind. The status page, the commands `check` and `status`, and `/api/status` (`advice`) show
the same texts. Alerts link to the section of their reason. For some problems, the exporter also knows the exact command that fixes it (`fix`).

Replace the placeholders: `UNIT` is the systemd unit of the service, `SERVICE` its key in the configuration, `HOST` and `PORT` are those of the
target. Run the commands on the machine of the target, unless the text names the exporter's machine.
";

/// Renders the document.
pub fn markdown() -> String {
    let mut text = String::from(OPENING);
    for reason in Reason::ALL {
        let _ = write!(text, "\n## {reason}\n\n| kinds | advice |\n| --- | --- |\n");
        for (kinds, advice) in by_advice(*reason) {
            let names: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            let _ = writeln!(text, "| {} | {} |", names.join(", "), cell(advice));
        }
    }
    text.push_str("\n## Shortages of the exporter\n\n");
    text.push_str("Such runs do not change the status of a check.\n\n| shortage | advice |\n| --- | --- |\n");
    for shortage in Shortage::ALL {
        let _ = writeln!(text, "| `{shortage}` | {} |", cell(shortage::advice(*shortage)));
    }
    let _ = write!(text, "\n## No result\n\n{UNKNOWN}\n");
    text
}

/// The kinds with the same advice for a reason, in the order of the kinds.
fn by_advice(reason: Reason) -> Vec<(Vec<CheckKind>, &'static str)> {
    let mut groups: Vec<(Vec<CheckKind>, &'static str)> = Vec::new();
    for kind in CheckKind::ALL {
        let text = advice(kind, reason);
        match groups.iter_mut().find(|(_, known)| *known == text) {
            Some((kinds, _)) => kinds.push(kind),
            None => groups.push((vec![kind], text)),
        }
    }
    groups
}

/// Escapes a text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
