//! Runs the queries of the dashboards Infrastructure, Application platform and SLO with promtool on the series of written.yml, which has
//! one check of every kind that they show, and one service with an objective. The rules for objectives record the series of SLO.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::dashboards::{Query, WRITTEN, queries, selection, written_series};

/// Checks with promtool that all `queries` return data for `series` after five minutes. The error is promtool's output.
fn promtool(queries: &[Query], series: &[Value]) -> Result<(), String> {
    // absent() returns nothing if the query returns data, so one expectation fits all queries.
    let cases: Vec<Value> = queries
        .iter()
        .map(|query| json!({ "expr": format!("absent({})", query.expr), "eval_time": "5m", "exp_samples": [] }))
        .collect();
    let test = json!({ "interval": "15s", "input_series": series, "promql_expr_test": cases });
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/slo.yml");
    let file = json!({ "rule_files": [rules], "evaluation_interval": "1m", "tests": [test] });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("written.yml");
    std::fs::write(&path, file.to_string()).expect("a test file");
    run(&path)
}

fn run(path: &Path) -> Result<(), String> {
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(path)
        .output();
    let output = output
        .unwrap_or_else(|error| panic!("running promtool: {error}; Debian: apt-get install prometheus"));
    let text = [output.stdout, output.stderr].concat();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&text).into_owned()),
    }
}

fn queries_of(dashboard: &str) -> Vec<Query> {
    let mut all = queries(&selection(".*"));
    all.retain(|query| query.dashboard == dashboard);
    assert!(all.len() > 15, "only {} queries were found", all.len());
    all
}

#[test]
fn every_query_of_these_dashboards_returns_data() {
    for dashboard in WRITTEN {
        promtool(&queries_of(dashboard), &written_series())
            .unwrap_or_else(|text| panic!("{dashboard}: {text}"));
    }
}

#[test]
fn a_query_without_data_is_found() {
    let series: Vec<Value> = written_series()
        .into_iter()
        .filter(|series| !series["series"].to_string().contains("upkeep_s3_bucket_present"))
        .collect();
    let text = promtool(&queries_of("upkeep-infrastructure"), &series).expect_err("a panel without data");
    assert_eq!(text.matches("got:").count(), 1, "{text}");
    assert!(text.contains("upkeep_s3_bucket_present"), "{text}");
}
