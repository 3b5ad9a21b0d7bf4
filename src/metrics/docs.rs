//! Generates docs/METRICS.md from the table of metrics.

use std::fmt::Write;

use super::names::unit_name;
use super::row::Fill;
use super::table;
use crate::check::families as families_of;
use crate::config::probe::TargetRefusal;
use crate::heal::policy::Refusal;
use crate::model::{CheckKind, Condition, Family, MetricType, Reason, Scope, Status};

const OPENING: &str = "\
# Metrics

<!-- Generated from the metric table in src/metrics. To update: `UPDATE=1 cargo test --test metrics`. -->

The exporter serves its metrics at `/metrics`: in OpenMetrics 1.0 or Protocol Buffers if the scraper requests them, otherwise in
the classic text format (0.0.4). Responses are compressed with gzip if the scraper accepts it. A scrape never waits for a check. It returns
the state at the time of the scrape.

Every series of a service has the label `service`. If your scraper also attaches a target label of that name (such as the
ServiceMonitor of the Prometheus Operator), set `honorLabels: true`.

## Absent and zero

- Counters, histograms, tolerances and thresholds exist from the start. Counters and histograms start at zero.
- Gauges of a run are absent before the first run of the check. `upkeep_service_up` is absent while the status is unknown.
- Values that can't be read, for example for lack of privileges, are absent, never 0.
- Services and checks that are removed from the configuration have no series.
- The configuration limits the number of series. `check-config` prints the maximum.

In the classic format and in Protocol Buffers, a family of type info is a gauge whose value is always 1.

## Formats

| format | requested with `Accept` | content |
| --- | --- | --- |
| classic text (default) | `text/plain;version=0.0.4` | all series |
| OpenMetrics 1.0 | `application/openmetrics-text` | the same series, with units and the type info |
| Protocol Buffers | `application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited` | the same series, the start times of counters and histograms, and native histograms if enabled |

Prometheus 2.42 requests Protocol Buffers with `--enable-feature=native-histograms`. Since 2.49, `scrape_protocols` sets the format.

**Native histograms.** With `--metrics.native-histograms`, `upkeep_check_duration_seconds` has native buckets, which are 9 % wide, in addition to the
classic ones. With more than 160 buckets, the resolution is halved. A Prometheus that stores native histograms ignores the classic buckets of such a
histogram, so queries of `upkeep_check_duration_seconds_bucket` return nothing. To keep them, as the shipped dashboards need, set
`always_scrape_classic_histograms: true` in the scrape configuration of Prometheus 3 (`scrape_classic_histograms` in 2.45 to 2.55), or do not set
the flag.

**Start times.** A counter and a histogram of a check start when the check is first configured, those of the exporter when it starts. Counters of a
target, such as those of Redis, have no start time, because it is unknown.
";

const HEALING: &str = "
## Healing

Series per service whose heal mode is dry-run or act. The first labels are `service`, `group`, `tier`. [HEALING.md](HEALING.md#safeguards) describes the reasons for
refusals.

";

/// Renders the document.
pub fn markdown() -> String {
    let mut text = String::from(OPENING);
    let sections = [
        (Scope::Service, "Services", "service"),
        (Scope::Check, "Checks of every kind", "check"),
    ];
    for (scope, title, subject) in sections {
        section(&mut text, title, scope, subject, &common(scope));
    }
    text.push_str(HEALING);
    rows(&mut text, &healing());
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
    text.push_str("\n## Label values\n\n| label | values |\n| --- | --- |\n");
    words(&mut text, "status", Status::ALL.iter().map(|word| word.as_str()));
    words(
        &mut text,
        "condition",
        Condition::ALL.iter().map(|word| word.as_str()),
    );
    words(&mut text, "reason", Reason::ALL.iter().map(|word| word.as_str()));
    // `words` writes the outer backticks of these two labels.
    let refusals = TargetRefusal::ALL.iter().map(|word| word.as_str());
    words(
        &mut text,
        "reason` of `upkeep_probe_refused_total",
        refusals.chain(["too_many"]),
    );
    let refusals = Refusal::ALL.iter().map(|word| word.as_str());
    words(&mut text, "reason` of `upkeep_heal_refusals_total", refusals);
    words(&mut text, "kind", CheckKind::ALL.iter().map(|kind| kind.as_str()));
    text
}

fn common(scope: Scope) -> Vec<&'static Family> {
    table::entries()
        .iter()
        .filter(|entry| entry.family.scope == scope && !matches!(entry.fill, Fill::Samples | Fill::Heal(_)))
        .map(|entry| entry.family)
        .collect()
}

fn healing() -> Vec<&'static Family> {
    let entries = table::entries().iter();
    let entries = entries.filter(|entry| matches!(entry.fill, Fill::Heal(_)));
    entries.map(|entry| entry.family).collect()
}

// Writing to a string can't fail, so the results are ignored.
fn section(text: &mut String, title: &str, scope: Scope, subject: &str, families: &[&Family]) {
    let _ = write!(text, "\n## {title}\n\n");
    if !scope.labels().is_empty() {
        let labels = list(scope.labels());
        let _ = write!(text, "Series per {subject}. The first labels are {labels}.\n\n");
    }
    rows(text, families);
}

fn rows(text: &mut String, families: &[&Family]) {
    text.push_str("| metric | type | unit | other labels | meaning |\n| --- | --- | --- | --- | --- |\n");
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
