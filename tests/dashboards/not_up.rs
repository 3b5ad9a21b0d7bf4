//! The table of what is not up, on the overview: which rows it has for services of every status. promtool evaluates its queries.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::dashboards::{queries, selection};

/// Services: the key, the instance of the exporter, the status, and the reason of a problem.
const SERVICES: [(&str, &str, &str, &str); 7] = [
    ("works", "a", "up", ""),
    ("fails", "a", "down", "refused"),
    ("slow", "a", "degraded", "slow"),
    ("stale", "a", "unknown", ""),
    ("new", "a", "unknown", ""),
    // Two exporters watch it, and one of them does not know.
    ("fails", "b", "unknown", ""),
    ("half", "a", "up", ""),
];

fn series() -> Vec<Value> {
    let constant = |name: &str, labels: String, value: &str| json!({ "series": format!("{name}{{{labels}}}"), "values": format!("{value}x20") });
    let mut all = Vec::new();
    let half = ("half", "b", "unknown", "");
    for (key, instance, status, reason) in SERVICES.into_iter().chain([half]) {
        let service = format!("job=\"upkeep\",instance=\"{instance}\",service=\"{key}\",group=\"g\"");
        let check = format!("{service},check=\"http\"");
        all.push(constant(
            "upkeep_service_info",
            format!("{service},tier=\"critical\",name=\"{key}\""),
            "1",
        ));
        for one in ["up", "degraded", "down", "unknown"] {
            let value = if one == status { "1" } else { "0" };
            all.push(constant(
                "upkeep_service_status",
                format!("{service},tier=\"critical\",status=\"{one}\""),
                value,
            ));
        }
        let since = if reason.is_empty() { "0" } else { "200" };
        let labels = format!("{service},tier=\"critical\",condition=\"degraded\"");
        all.push(constant(
            "upkeep_service_condition_since_timestamp_seconds",
            labels,
            since,
        ));
        if !reason.is_empty() {
            all.push(constant(
                "upkeep_check_problem_info",
                format!("{check},reason=\"{reason}\""),
                "1",
            ));
        }
        all.push(constant("upkeep_check_stale_after_seconds", check.clone(), "90"));
        // The last run of what is not known was 250 s before; a new check had none.
        let last_run = if status == "unknown" { "50" } else { "300" };
        if key != "new" {
            all.push(constant(
                "upkeep_check_last_run_timestamp_seconds",
                check,
                last_run,
            ));
        }
    }
    all
}

#[test]
fn services_without_a_result_are_listed() {
    let mut rows: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    for (key, check, reason, status, seconds) in [
        ("fails", "http", "refused", 3, Some(100)),
        ("slow", "http", "slow", 2, Some(100)),
        ("stale", "\u{2013}", "no result", 1, Some(250)),
        ("new", "\u{2013}", "no result", 1, None),
        ("half", "\u{2013}", "no result", 1, Some(250)),
    ] {
        let labels = format!("{{group=\"g\",service=\"{key}\",check=\"{check}\",reason=\"{reason}\"}}");
        rows[0].push(json!({ "labels": labels, "value": status }));
        rows[1].extend(seconds.map(|seconds| json!({ "labels": labels, "value": seconds })));
    }
    let all = queries(&selection(".*"));
    let queries = all
        .iter()
        .filter(|query| query.dashboard == "upkeep-overview" && query.panel == "Not up now");
    let cases: Vec<Value> = queries
        .zip(rows)
        .map(|(query, rows)| json!({ "expr": query.expr, "eval_time": "5m", "exp_samples": rows }))
        .collect();
    assert_eq!(cases.len(), 2, "the status and the time");
    let file = json!({ "evaluation_interval": "1m", "tests": [{ "interval": "15s", "input_series": series(), "promql_expr_test": cases }] });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("not_up.yml");
    std::fs::write(&path, file.to_string()).expect("a test file");
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output();
    let output = output
        .unwrap_or_else(|error| panic!("running promtool: {error}; Debian: apt-get install prometheus"));
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
