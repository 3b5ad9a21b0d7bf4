//! Checks of every panel: fields, position, units, queries.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::dashboards::Dashboard;
use crate::fields;

/// Panels that come with Grafana itself.
const KINDS: [&str; 17] = [
    "alertlist",
    "barchart",
    "bargauge",
    "gauge",
    "heatmap",
    "histogram",
    "logs",
    "piechart",
    "row",
    "stat",
    "state-timeline",
    "status-history",
    "table",
    "text",
    "timeseries",
    "trend",
    "xychart",
];
/// Number of columns of a Grafana dashboard.
const COLUMNS: u64 = 24;

/// Returns everything that is wrong with the panels of a dashboard.
pub fn complaints(dashboard: &Dashboard) -> Vec<String> {
    let panels = dashboard.panels();
    let mut found = distinct(&panels, "id");
    found.extend(distinct(&panels, "title"));
    found.extend(overlaps(&panels));
    for panel in panels {
        let mut own = frame(panel);
        if panel["type"] != "row" {
            own.extend(content(panel, dashboard));
            own.extend(queries(panel));
            own.extend(fields::complaints(panel));
        }
        found.extend(
            own.iter()
                .map(|complaint| format!("{}: {complaint}", panel["title"])),
        );
    }
    found
        .iter()
        .map(|complaint| format!("{}: {complaint}", dashboard.stem))
        .collect()
}

fn distinct(panels: &[&Value], key: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let again = panels.iter().filter(|panel| !seen.insert(panel[key].to_string()));
    again
        .map(|panel| format!("two panels have the {key} {}", panel[key]))
        .collect()
}

fn place(panel: &Value) -> Option<[u64; 4]> {
    let edge = |key: &str| panel["gridPos"][key].as_u64();
    Some([edge("x")?, edge("y")?, edge("w")?, edge("h")?])
}

fn overlaps(panels: &[&Value]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, one) in panels.iter().enumerate() {
        for other in &panels[index + 1..] {
            if let (Some([x, y, w, h]), Some([u, v, s, t])) = (place(one), place(other))
                && x < u + s
                && u < x + w
                && y < v + t
                && v < y + h
            {
                found.push(format!("{} and {} overlap", one["title"], other["title"]));
            }
        }
    }
    found
}

fn frame(panel: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !panel["type"].as_str().is_some_and(|kind| KINDS.contains(&kind)) {
        found.push(format!("{} is not a panel that Grafana ships", panel["type"]));
    }
    if panel["id"].as_u64().is_none_or(|id| id == 0) {
        found.push("no id".to_owned());
    }
    if panel["title"].as_str().is_none_or(str::is_empty) {
        found.push("no title".to_owned());
    }
    match place(panel) {
        Some([x, _, w, h]) if w > 0 && h > 0 && x + w <= COLUMNS => {}
        _ => found.push(format!(
            "gridPos {} is not within {COLUMNS} columns",
            panel["gridPos"]
        )),
    }
    found
}

fn content(panel: &Value, dashboard: &Dashboard) -> Vec<String> {
    let defaults = &panel["fieldConfig"]["defaults"];
    let mut found = Vec::new();
    for (what, fits) in [
        (
            "description",
            panel["description"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
        ),
        ("datasource", panel["datasource"].is_object()),
        (
            "unit",
            defaults["unit"].as_str().is_some_and(|unit| !unit.is_empty()),
        ),
        ("noValue", defaults["noValue"] == "no data"),
        (
            "options",
            panel["options"]
                .as_object()
                .is_some_and(|options| !options.is_empty()),
        ),
        ("pluginVersion", panel["pluginVersion"].is_string()),
        (
            "fieldConfig.overrides",
            panel["fieldConfig"]["overrides"].is_array(),
        ),
    ] {
        if !fits {
            found.push(format!("{what} is missing or wrong"));
        }
    }
    if let Some(variable) = panel["repeat"].as_str() {
        let list = dashboard.model["templating"]["list"]
            .as_array()
            .into_iter()
            .flatten();
        let multi = list
            .filter(|each| each["multi"] == true)
            .any(|each| each["name"] == variable);
        if !multi {
            found.push(format!(
                "repeats by {variable:?}, which is not a variable with several values"
            ));
        }
    }
    let transformations = panel["transformations"].as_array().into_iter().flatten();
    for transformation in transformations {
        if !["merge", "organize"]
            .iter()
            .any(|id| transformation["id"] == **id)
        {
            found.push(format!(
                "transformation {} has no check; add it to this test",
                transformation["id"]
            ));
        }
    }
    found
}

fn queries(panel: &Value) -> Vec<String> {
    let empty = Vec::new();
    let targets = panel["targets"].as_array().unwrap_or(&empty);
    let mut found = Vec::new();
    if targets.is_empty() {
        found.push("no query".to_owned());
    }
    let mut letters = BTreeSet::new();
    for target in targets {
        let letter = &target["refId"];
        if !letter.is_string() || !letters.insert(letter.to_string()) {
            found.push(format!("refId {letter} is missing or not unique"));
        }
        if target["expr"].as_str().is_none_or(|expr| expr.trim().is_empty()) || target["editorMode"] != "code"
        {
            found.push(format!("query {letter}: no expression"));
        }
        if !target["datasource"].is_object() {
            found.push(format!("query {letter}: no datasource"));
        }
        if target["instant"].as_bool() == target["range"].as_bool() {
            found.push(format!("query {letter}: must be either instant or range"));
        }
        // A table shows labels as columns, everything else shows series.
        let format = if panel["type"] == "table" {
            "table"
        } else {
            "time_series"
        };
        if target["format"] != format || target["legendFormat"].as_str().is_none_or(str::is_empty) {
            found.push(format!("query {letter}: format or legend is missing"));
        }
    }
    found
}
