//! The shipped rules: Prometheus accepts them, every alert is complete and tested, and the timelines hold at every scrape
//! interval.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

#[path = "rules/conditions.rs"]
mod conditions;
#[path = "rules/coverage.rs"]
mod coverage;
#[path = "rules/evidence.rs"]
mod evidence;
#[path = "rules/impact.rs"]
mod impact;
#[path = "rules/scenarios.rs"]
mod scenarios;
#[path = "rules/simulation.rs"]
mod simulation;
#[path = "rules/timelines.rs"]
mod timelines;
#[path = "rules/tools.rs"]
mod tools;

use timelines::{Intervals, Timeline};
use tools::{alerts, files, list, read, repo, run, text, yaml};

/// All alerts with their severities.
const EXPECTED: &[(&str, &str)] = &[
    ("UpkeepServiceDown", "critical"),
    ("UpkeepServiceDownTolerated", "warning"),
    ("UpkeepServiceDegraded", "warning"),
    ("UpkeepServiceSlow", "warning"),
    ("UpkeepCheckFailing", "info"),
    ("UpkeepServiceFlapping", "warning"),
    ("UpkeepServiceUnknown", "warning"),
    ("UpkeepServiceImpacted", "info"),
    ("UpkeepCheckStale", "warning"),
    ("UpkeepErrorBudgetBurnFast", "critical"),
    ("UpkeepErrorBudgetBurnSlow", "warning"),
    ("UpkeepHealGaveUp", "critical"),
    ("UpkeepHealActed", "info"),
    ("UpkeepHealBudgetLow", "warning"),
    ("UpkeepUnitFailed", "warning"),
    ("UpkeepUnitRestarting", "warning"),
    ("UpkeepProcessMissing", "warning"),
    ("UpkeepProcessFdsHigh", "warning"),
    ("UpkeepMemoryNearLimit", "warning"),
    ("UpkeepOomKill", "warning"),
    ("UpkeepCertificateExpiringSoon", "warning"),
    ("UpkeepCertificateAboutToExpire", "critical"),
    ("UpkeepEndpointDeprecated", "info"),
    ("UpkeepCeleryNoWorkers", "warning"),
    ("UpkeepQueueBacklog", "warning"),
    ("UpkeepQueueConsumersMissing", "warning"),
    ("UpkeepBucketMissing", "warning"),
    ("UpkeepReplicationLag", "warning"),
    ("UpkeepConnectionsNearLimit", "warning"),
    ("UpkeepContainerUnhealthy", "warning"),
    ("UpkeepProviderKeyInvalid", "warning"),
    ("UpkeepProviderQuotaSpent", "warning"),
    ("UpkeepProviderModelMissing", "warning"),
    ("UpkeepModelEndsWithin30Days", "info"),
    ("UpkeepModelEndsWithin7Days", "warning"),
    ("UpkeepHostDiskFull", "warning"),
    ("UpkeepHostDiskFilling", "warning"),
    ("UpkeepHostMemoryLow", "warning"),
    ("UpkeepExporterDown", "critical"),
    ("UpkeepExporterRestarting", "critical"),
    ("UpkeepExporterAbsent", "critical"),
    ("UpkeepConfigReloadFailed", "warning"),
    ("UpkeepClockSkew", "warning"),
    ("UpkeepExporterStarved", "warning"),
    ("UpkeepStatusFileStale", "warning"),
    ("UpkeepHeartbeatsRejected", "warning"),
    ("UpkeepWatchdog", "none"),
];

/// Runs `promtool`, which must succeed, and returns its output.
fn promtool(args: &[PathBuf]) -> String {
    run("promtool", "prometheus", args)
}

#[test]
fn prometheus_accepts_the_rules_and_both_configurations() {
    let mut args = vec!["check".into(), "rules".into(), "--lint-fatal".into()];
    args.extend(files("rules", ".yml"));
    promtool(&args);
    for file in files("deploy/prometheus", ".yml") {
        let output = promtool(&["check".into(), "config".into(), file]);
        assert!(
            output.contains(&format!("{} rule files found", files("rules", ".yml").len())),
            "{output}"
        );
    }
}

#[test]
fn both_configurations_scrape_the_exporter_at_their_interval() {
    for (file, scrape, evaluation) in [("prometheus.yml", "5s", "5s"), ("prometheus-1s.yml", "1s", "1s")] {
        let config = yaml(&repo("deploy/prometheus").join(file));
        assert_eq!(text(&config["global"], "scrape_interval"), scrape, "{file}");
        assert_eq!(
            text(&config["global"], "evaluation_interval"),
            evaluation,
            "{file}"
        );
        let job = &list(&config, "scrape_configs")[0];
        assert_eq!(text(job, "job_name"), "upkeep", "{file}");
        assert_eq!(job["honor_labels"], json!(true), "{file}");
        assert_eq!(
            job["static_configs"],
            json!([{ "targets": ["127.0.0.1:10100"] }]),
            "{file}"
        );
        let alertmanagers = &config["alerting"]["alertmanagers"][0];
        assert_eq!(
            alertmanagers["static_configs"],
            json!([{ "targets": ["127.0.0.1:9093"] }]),
            "{file}"
        );
    }
}

#[test]
fn the_unit_tests_pass() {
    let mut args = vec!["test".into(), "rules".into()];
    args.extend(files("rules/tests", ".test.yml"));
    promtool(&args);
}

#[test]
fn alerts_and_severities_are_as_expected() {
    let shipped: Vec<Value> = alerts();
    let shipped: BTreeSet<(&str, &str)> = shipped
        .iter()
        .map(|alert| (text(alert, "alert"), text(&alert["labels"], "severity")))
        .collect();
    assert_eq!(shipped, EXPECTED.iter().copied().collect());
    assert_eq!(alerts().len(), EXPECTED.len(), "an alert's name must be unique");
}

#[test]
fn every_alert_has_summary_description_and_runbook() {
    let base = "https://github.com/upkeep-exporter/upkeep_exporter/blob/main/docs/runbooks";
    for alert in alerts() {
        let (name, annotations) = (text(&alert, "alert"), &alert["annotations"]);
        for key in ["summary", "description"] {
            assert!(
                !text(annotations, key).trim().is_empty(),
                "{name} has an empty {key}"
            );
        }
        assert_eq!(text(annotations, "runbook_url"), format!("{base}/{name}.md"));
    }
}

/// Otherwise a restart of the exporter would send false recoveries. Series with `:held` survive a restart anyway. Most critical
/// alerts use these, or report the exporter itself.
#[test]
fn alerts_whose_series_vanish_in_a_restart_keep_firing_for_two_minutes() {
    for alert in alerts() {
        let (name, severity) = (text(&alert, "alert"), text(&alert["labels"], "severity"));
        let held = text(&alert, "expr").contains(":held");
        let keeps_firing = alert["keep_firing_for"] == "2m";
        let vanishes = ["warning", "info"].contains(&severity)
            || ["UpkeepHealGaveUp", "UpkeepCertificateAboutToExpire"].contains(&name);
        let expected = vanishes && !held;
        assert_eq!(keeps_firing, expected, "{name}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let pages: BTreeSet<String> = files("docs/runbooks", ".md")
        .iter()
        .map(|path| {
            path.file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        pages,
        EXPECTED.iter().map(|(name, _)| (*name).to_owned()).collect()
    );
    let overview = read(&repo("docs/ALERTS.md"));
    for (name, severity) in EXPECTED {
        let page = read(&repo(&format!("docs/runbooks/{name}.md")));
        assert!(
            page.starts_with(&format!("# {name}\n")),
            "{name}.md has another title"
        );
        for heading in [
            "## What it means",
            "## What to check",
            "## How to fix",
            "## Silence and tune",
        ] {
            assert!(
                page.contains(&format!("\n{heading}\n")),
                "{name}.md lacks \"{heading}\""
            );
        }
        let row = overview
            .lines()
            .find(|line| line.starts_with(&format!("| [{name}](runbooks/{name}.md) | {severity} |")));
        assert!(
            row.is_some(),
            "docs/ALERTS.md lacks the row of {name} with severity {severity}"
        );
    }
}

/// People copy these queries, so Prometheus must parse them.
#[test]
fn prometheus_parses_the_queries_of_the_runbooks() {
    let pages: Vec<String> = files("docs/runbooks", ".md")
        .iter()
        .map(|path| read(path))
        .collect();
    let blocks = pages.iter().flat_map(|page| page.split("```promql\n").skip(1));
    let queries = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let rules: Vec<Value> = queries
        .map(str::trim)
        .filter(|query| !query.is_empty())
        .enumerate()
        .map(|(number, query)| json!({ "record": format!("query_{number}"), "expr": query }))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    check_rules(&json!({ "groups": [{ "name": "runbooks", "rules": rules }] }));
}

fn check_rules(file: &Value) {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, file.to_string()).expect("the temporary directory can be written");
    promtool(&["check".into(), "rules".into(), path]);
}

/// Runs every timeline with this many seconds between scrapes and between evaluations.
fn timelines_at(scrape: u32, evaluation: u32) {
    let intervals = intervals(scrape, evaluation);
    let (with_exporter, others): (Vec<_>, Vec<_>) = scenarios::all()
        .into_iter()
        .chain(conditions::all())
        .partition(|timeline| timeline.needs_exporter_rules());
    let conditions = repo("rules/conditions.yml");
    run_timelines(intervals, &[&conditions], &others);
    run_timelines(
        intervals,
        &[&conditions, &repo("rules/exporter.yml")],
        &with_exporter,
    );
}

fn run_timelines(intervals: Intervals, rule_files: &[&PathBuf], timelines: &[Timeline]) {
    let tests: Vec<Value> = timelines
        .iter()
        .map(|timeline| timeline.test(intervals))
        .collect();
    run_tests(intervals, rule_files, &tests);
}

fn run_tests(intervals: Intervals, rule_files: &[&PathBuf], tests: &[Value]) {
    assert!(!tests.is_empty());
    let evaluation = format!("{}s", intervals.evaluation);
    let file = json!({ "rule_files": rule_files, "evaluation_interval": evaluation, "tests": tests });
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let path = folder.path().join("timelines.yml");
    std::fs::write(&path, file.to_string()).expect("the temporary directory can be written");
    promtool(&["test".into(), "rules".into(), path]);
}

fn intervals(scrape: u32, evaluation: u32) -> Intervals {
    Intervals {
        scrape,
        evaluation,
        left_open: timelines::ranges_are_left_open(),
    }
}

/// Tests the alerts of all conditions with the series that a real store makes of runs. A short failure never pages, even if
/// Prometheus or the exporter is down meanwhile. An outage, and alternating runs, page once.
fn evidence_at(scrape: u32, evaluation: u32) {
    let intervals = intervals(scrape, evaluation);
    let tests: Vec<Value> = evidence::KINDS
        .into_iter()
        .map(|kind| evidence::test(kind, intervals))
        .collect();
    run_tests(intervals, &[&repo("rules/conditions.yml")], &tests);
}

#[test]
fn pages_follow_the_evidence_at_a_scrape_interval_of_1s() {
    evidence_at(1, 1);
}

#[test]
fn pages_follow_the_evidence_at_a_scrape_interval_of_5s() {
    evidence_at(5, 5);
}

#[test]
fn pages_follow_the_evidence_at_a_scrape_interval_of_15s() {
    evidence_at(15, 5);
    evidence_at(15, 15);
}

#[test]
fn pages_follow_the_evidence_at_a_scrape_interval_of_30s() {
    evidence_at(30, 5);
    evidence_at(30, 30);
}

/// Services that depend on one another: one page for the root cause, and UpkeepServiceImpacted for the others.
#[test]
fn only_root_causes_page() {
    for (scrape, evaluation) in [(1, 1), (5, 5), (15, 5), (30, 30)] {
        let intervals = intervals(scrape, evaluation);
        let rules = [&repo("rules/conditions.yml"), &repo("rules/services.yml")];
        run_tests(intervals, &rules, &[impact::test(intervals)]);
    }
}

#[test]
fn timelines_hold_at_a_scrape_interval_of_5s() {
    timelines_at(5, 5);
}

#[test]
fn timelines_hold_at_a_scrape_interval_of_1s() {
    timelines_at(1, 1);
}

#[test]
fn timelines_hold_at_a_scrape_interval_of_15s() {
    timelines_at(15, 5);
    timelines_at(15, 15);
}

#[test]
fn timelines_hold_at_a_scrape_interval_of_30s() {
    timelines_at(30, 5);
    timelines_at(30, 30);
}
