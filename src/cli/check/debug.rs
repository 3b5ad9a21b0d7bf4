//! Formats a run for `check --debug`.

use std::fmt::Write;

use crate::cli::show::{clean, latency};
use crate::config::CheckSettings;
use crate::model::{CheckId, Conclusion, DebugLog, Outcome, Phase};

/// Formats the steps of a run with their times, its phases and its samples, as indented lines below a title.
pub fn format_run(
    id: &CheckId,
    settings: &CheckSettings,
    outcome: &Outcome,
    debug_log: Option<&DebugLog>,
) -> String {
    let kind = settings.kind.kind();
    let conclusion = match &outcome.conclusion {
        Conclusion::Success => "success".to_owned(),
        Conclusion::Warning(problem) => format!("warning: {problem}"),
        Conclusion::Failure(problem) => format!("failure: {problem}"),
        Conclusion::Inconclusive(problem) => format!("inconclusive: {problem}"),
    };
    let mut lines = vec![format!("{id} ({kind} {}): {conclusion}", settings.kind.target())];
    for (at, step) in debug_log.map_or(&[][..], DebugLog::lines) {
        lines.push(format!("  {:>9}  {step}", latency(at.as_secs_f64())));
    }
    lines.push(format!("  {:>9}  end", latency(outcome.duration.as_secs_f64())));
    if !outcome.phases.is_empty() {
        let phases = Phase::ALL.iter().map(|phase| {
            let spent = outcome.phases.spent(*phase).as_secs_f64();
            format!("{phase} {}", latency(spent))
        });
        lines.push(format!("  phases: {}", phases.collect::<Vec<_>>().join(", ")));
    }
    for sample in &outcome.samples {
        let mut line = format!("  {}", sample.family.name);
        for (position, (name, value)) in sample.family.labels.iter().zip(&sample.labels).enumerate() {
            let before = if position == 0 { '{' } else { ',' };
            let _ = write!(line, "{before}{name}={value:?}");
        }
        let after = if sample.labels.is_empty() { "" } else { "}" };
        let _ = write!(line, "{after} {}", sample.value);
        lines.push(line);
    }
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n")
}
