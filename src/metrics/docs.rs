//! docs/METRICS.md, made out of the table.

use std::fmt::Write;

use super::table::{self, Fill, unit_name};
use crate::check::families as families_of;
use crate::config::probe::TargetRefusal;
use crate::model::{CheckKind, Condition, Family, MetricType, Reason, Scope, Status};

const OPENING: &str = "\
# Metrics

<!-- Made out of the metric table in src/metrics: `UPDATE=1 cargo test --test metrics` writes it anew. -->

The exporter serves its metrics at `/metrics`: in OpenMetrics 1.0 where the scraper asks for it, in the classic text
format (0.0.4) otherwise, compressed with gzip where accepted. A scrape never waits for a check: it shows what the
exporter knew when the scrape arrived.

Where a label named `service` would be attached to the target too (Prometheus Operator's ServiceMonitor), set
`honorLabels: true`: `service` here is what your users call it.

## What is absent, and what is zero

- Counters, histograms, tolerances and thresholds exist from the start, with their zero.
- Gauges of a run are absent before the check's first run, and `upkeep_service_up` while nothing is known.
- What could not be read (for lack of privileges, say) is absent, never 0.
- What left the configuration leaves no series.
- Every label comes from the configuration, so the number of series is known before the start: `check-config` prints it.

In the classic format a family of type info is a gauge whose value is always 1.
";

/// The whole document.
pub fn markdown() -> String {
    let mut text = String::from(OPENING);
    let sections = [
        (Scope::Service, "Services", "service"),
        (Scope::Check, "Checks of every kind", "check"),
    ];
    for (scope, title, subject) in sections {
        section(&mut text, title, scope, subject, &common(scope));
    }
    for kind in CheckKind::ALL {
        let mut own = families_of(kind).to_vec();
        own.sort_by_key(|family| family.name);
        if !own.is_empty() {
            section(
                &mut text,
                &format!("Checks of kind {kind}"),
                Scope::Check,
                "check",
                &own,
            );
        }
    }
    section(
        &mut text,
        "The exporter",
        Scope::Exporter,
        "exporter",
        &common(Scope::Exporter),
    );
    text.push_str("\n## Values of labels\n\n| label | values |\n| --- | --- |\n");
    words(&mut text, "status", Status::ALL.iter().map(|word| word.as_str()));
    words(
        &mut text,
        "condition",
        Condition::ALL.iter().map(|word| word.as_str()),
    );
    words(&mut text, "reason", Reason::ALL.iter().map(|word| word.as_str()));
    let refusals = TargetRefusal::ALL.iter().map(|word| word.as_str());
    words(
        &mut text,
        "reason` of `upkeep_probe_refused_total",
        refusals.chain(["too_many"]),
    );
    words(&mut text, "kind", CheckKind::ALL.iter().map(|kind| kind.as_str()));
    text
}

fn common(scope: Scope) -> Vec<&'static Family> {
    table::entries()
        .iter()
        .filter(|entry| entry.family.scope == scope && !matches!(entry.fill, Fill::Samples))
        .map(|entry| entry.family)
        .collect()
}

// Writing to a string does not fail, so the results are dropped.
fn section(text: &mut String, title: &str, scope: Scope, subject: &str, families: &[&Family]) {
    let _ = write!(text, "\n## {title}\n\n");
    if !scope.labels().is_empty() {
        let labels = list(scope.labels());
        let _ = write!(
            text,
            "Every {subject} has these; their labels begin with {labels}.\n\n"
        );
    }
    text.push_str("| metric | type | unit | further labels | meaning |\n| --- | --- | --- | --- | --- |\n");
    for family in families {
        let Family {
            name,
            help,
            labels,
            unit,
            metric_type,
            ..
        } = family;
        let metric_type = match metric_type {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Info => "info",
        };
        let (unit, labels) = (unit_name(*unit).unwrap_or(""), list(labels));
        let _ = writeln!(text, "| `{name}` | {metric_type} | {unit} | {labels} | {help} |");
    }
}

fn list(labels: &[&str]) -> String {
    let quoted: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    quoted.join(", ")
}

fn words<'a>(text: &mut String, label: &str, values: impl Iterator<Item = &'a str>) {
    let values: Vec<_> = values.collect();
    let _ = writeln!(text, "| `{label}` | {} |", list(&values));
}
