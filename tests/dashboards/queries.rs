//! The queries of the dashboards: all parse, select only by the variables, and may be empty only with a reason.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};

use crate::common::dashboards::{MayBeEmpty, load, may_be_empty, queries, selection, substitute};

/// What follows `upkeep_` in the names of metrics about services and their checks.
const OF_A_SERVICE: [&str; 17] = [
    "service",
    "check",
    "http",
    "tls",
    "systemd",
    "process",
    "postgres",
    "redis",
    "rabbitmq",
    "s3",
    "celery",
    "docker",
    "memcached",
    "dependencies",
    "provider",
    "port",
    "host",
];

/// Checks the expressions with promtool, as recording rules of one file (JSON is YAML).
fn promtool(expressions: &[&str]) -> Result<(), String> {
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(index, expr)| json!({"record": format!("query:{index}"), "expr": expr}))
        .collect();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("queries.yml");
    std::fs::write(
        &file,
        json!({"groups": [{"name": "queries", "rules": rules}]}).to_string(),
    )
    .expect("a rule file");
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output();
    let output = output
        .unwrap_or_else(|error| panic!("running promtool: {error}; Debian: apt-get install prometheus"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        Ok(())
    } else {
        Err(text)
    }
}

#[test]
fn every_query_parses() {
    // The second is the value that Grafana inserts for two selected services.
    for service in [".*", r"(api|orders\\.v2)"] {
        let all = queries(&selection(service));
        assert!(all.len() > 70, "only {} queries were found", all.len());
        let expressions: Vec<&str> = all.iter().map(|query| query.expr.as_str()).collect();
        promtool(&expressions).unwrap_or_else(|text| panic!("{text}"));
    }
}

#[test]
fn promtool_rejects_invalid_queries() {
    let text = promtool(&["up", "sum by (service) (up"]).expect_err("an open parenthesis");
    assert!(text.contains("parse error"), "{text}");
}

#[test]
fn variables_are_replaced_and_unknown_ones_rejected() {
    let values = selection(".*");
    let text = r#"label_replace(rate(a{job=~"$job", s=~"${service:regex}|"}[$__rate_interval]), "x", "$1 ms", "y", "(.+)")"#;
    let expected = r#"label_replace(rate(a{job=~".*", s=~".*|"}[1m]), "x", "$1 ms", "y", "(.+)")"#;
    assert_eq!(substitute(text, &values), Ok(expected.to_owned()));
    let error = substitute("up{job=~\"$jb\"}", &values).expect_err("no such variable");
    assert!(error.contains("$jb"), "{error}");
}

#[test]
fn queries_filter_by_the_variables() {
    let series = Regex::new(r"\b(upkeep_\w+)(\{[^}]*\})?").expect("a valid regular expression");
    let labels =
        Regex::new(r"(?:by|on|group_left|group_right) \([^)]*\)").expect("a valid regular expression");
    for dashboard in load() {
        for panel in dashboard.panels() {
            for expr in panel["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|target| target["expr"].as_str())
            {
                for found in series.captures_iter(&labels.replace_all(expr, "")) {
                    let selector = found.get(2).map_or("", |selector| selector.as_str());
                    let of_a_service = OF_A_SERVICE
                        .iter()
                        .any(|part| found[1].starts_with(&format!("upkeep_{part}")));
                    let wanted: &[&str] = if of_a_service {
                        &["job", "instance", "group", "service"]
                    } else {
                        &["job", "instance"]
                    };
                    let one = dashboard.uid() == "upkeep-service";
                    for label in wanted {
                        let place = format!(
                            "{} / {}: {}{selector}",
                            dashboard.uid(),
                            panel["title"],
                            &found[1]
                        );
                        let operator = if one && *label == "service" { "=" } else { "=~" };
                        let matcher = format!("{label}{operator}\"${label}\"");
                        assert!(selector.contains(&matcher), "{place} lacks {matcher}");
                    }
                }
            }
        }
    }
}

#[test]
fn panels_that_may_be_empty_exist_and_have_a_reason() {
    let all = queries(&selection(".*"));
    let mut seen = BTreeSet::new();
    let list = may_be_empty();
    assert!(!list.is_empty(), "the list was not read");
    for MayBeEmpty {
        dashboard,
        panel,
        reason,
    } in list
    {
        let place = format!("{dashboard} / {panel}");
        assert!(
            all.iter()
                .any(|query| query.dashboard == dashboard && query.panel == panel),
            "no query of {place}"
        );
        assert!(
            reason.split_whitespace().count() >= 5,
            "{place}: the reason {reason:?} is too short"
        );
        assert!(seen.insert(place.clone()), "{place} is listed twice");
    }
}
