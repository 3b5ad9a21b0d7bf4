//! Checks of a dashboard as a whole: fields, variables, links, data sources, colours.

use serde_json::{Value, json};

use crate::common::dashboards::Dashboard;

const UIDS: [&str; 7] = [
    "upkeep-alerts",
    "upkeep-exporter",
    "upkeep-infrastructure",
    "upkeep-overview",
    "upkeep-platform",
    "upkeep-service",
    "upkeep-slo",
];
const VARIABLES: [&str; 5] = ["datasource", "job", "instance", "group", "service"];

/// The palette of Okabe and Ito, which people with common forms of colour blindness can distinguish, and two greys. The orange
/// (#E69F00) is lighter, because Grafana would use white text on it. The last is Grafana's annotation colour.
const COLOURS: [&str; 10] = [
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#FFB300",
    "#D55E00",
    "#CC79A7",
    "#8C8C8C",
    "#5A5A5A",
    "rgba(0, 211, 255, 1)",
];

/// Returns everything that is wrong with a dashboard, except its panels.
pub fn complaints(dashboard: &Dashboard) -> Vec<String> {
    let model = &dashboard.model;
    let mut found = fields(dashboard);
    found.extend(variables(model));
    found.extend(links(model));
    walk(model, "", &mut |path, value| found.extend(anywhere(path, value)));
    found
        .iter()
        .map(|complaint| format!("{}: {complaint}", dashboard.stem))
        .collect()
}

/// True if `url` leads to one of the shipped dashboards.
pub fn leads_to_a_dashboard(url: &str) -> bool {
    UIDS.iter().any(|uid| {
        url.strip_prefix("/d/")
            .and_then(|rest| rest.strip_prefix(uid))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('?'))
    })
}

fn fields(dashboard: &Dashboard) -> Vec<String> {
    let model = &dashboard.model;
    let refresh = if dashboard.stem == "overview" { "1s" } else { "5s" };
    let expected = [
        ("uid", json!(format!("upkeep-{}", dashboard.stem))),
        ("schemaVersion", json!(39)),
        ("id", Value::Null),
        ("editable", json!(true)),
        ("tags", json!(["upkeep"])),
        ("timezone", json!("browser")),
        ("refresh", json!(refresh)),
        ("fiscalYearStartMonth", json!(0)),
        ("weekStart", json!("")),
    ];
    let mut found: Vec<String> = expected
        .iter()
        .filter(|(key, value)| model.get(key) != Some(value))
        .map(|(key, value)| format!("{key} is {:?}, not {value}", model.get(key)))
        .collect();
    for (key, fits) in [
        (
            "title",
            model["title"]
                .as_str()
                .is_some_and(|title| title.starts_with("Upkeep / ")),
        ),
        (
            "description",
            model["description"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
        ),
        ("version", model["version"].is_u64()),
        (
            "graphTooltip",
            model["graphTooltip"].as_u64().is_some_and(|mode| mode <= 2),
        ),
        (
            "time",
            model["time"]["to"] == "now"
                && model["time"]["from"]
                    .as_str()
                    .is_some_and(|from| from.starts_with("now-")),
        ),
        (
            "panels",
            model["panels"]
                .as_array()
                .is_some_and(|panels| !panels.is_empty()),
        ),
        (
            "timepicker.refresh_intervals",
            model["timepicker"]["refresh_intervals"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(refresh))),
        ),
        (
            "annotations.list[0]",
            model["annotations"]["list"][0]["builtIn"] == 1,
        ),
    ] {
        if !fits {
            found.push(format!("{key} is missing or wrong"));
        }
    }
    // Grafana writes these when a dashboard is exported "for sharing externally"; file provisioning does not resolve them.
    for key in ["__inputs", "__requires", "__elements"] {
        if model.get(key).is_some() {
            found.push(format!("{key}: export without \"for sharing externally\""));
        }
    }
    found
}

fn variables(model: &Value) -> Vec<String> {
    let empty = Vec::new();
    let list = model["templating"]["list"].as_array().unwrap_or(&empty);
    let names: Vec<&str> = list
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    let mut found = Vec::new();
    if names != VARIABLES {
        found.push(format!("the variables are {names:?}, not {VARIABLES:?}"));
    }
    for variable in list {
        let name = &variable["name"];
        if variable["label"].as_str().is_none_or(str::is_empty)
            || variable["description"].as_str().is_none_or(str::is_empty)
        {
            found.push(format!("variable {name}: no label or no description"));
        }
        if name == "datasource" {
            if variable["type"] != "datasource" || variable["query"] != "prometheus" {
                found.push("variable datasource: does not offer Prometheus data sources".to_owned());
            }
            continue;
        }
        if variable["type"] != "query"
            || variable["definition"] != variable["query"]["query"]
            || variable["refresh"] != 1
        {
            found.push(format!(
                "variable {name}: not a query that runs when the dashboard loads"
            ));
        }
        // The Service dashboard shows one service. In the others, no selection means all.
        let one = name == "service" && model["uid"] == "upkeep-service";
        if variable["multi"] != json!(!one)
            || variable["includeAll"] != json!(!one)
            || (!one && variable["allValue"] != ".*")
        {
            found.push(format!("variable {name}: wrong choice of one or many values"));
        }
    }
    found
}

fn links(model: &Value) -> Vec<String> {
    let links = model["links"].as_array().into_iter().flatten();
    let bad = links.filter(|link| {
        link["type"] != "link"
            || link["includeVars"] != true
            || link["keepTime"] != true
            || link["title"].as_str().is_none_or(str::is_empty)
            || !link["url"].as_str().is_some_and(leads_to_a_dashboard)
    });
    bad.map(|link| {
        format!(
            "link {} does not lead to a dashboard with the same variables and time range",
            link["title"]
        )
    })
    .collect()
}

/// Checks a value anywhere in the dashboard.
fn anywhere(path: &str, value: &Value) -> Option<String> {
    let key = path.rsplit('.').next().unwrap_or_default();
    let built_in = path == ".annotations.list[0].datasource";
    let source = if built_in {
        json!({"type": "grafana", "uid": "-- Grafana --"})
    } else {
        json!({"type": "prometheus", "uid": "${datasource}"})
    };
    match (key, value) {
        ("datasource", value) if *value != source => Some(format!("{path} is {value}, not {source}")),
        ("color" | "fixedColor" | "iconColor", Value::String(colour))
            if !COLOURS.contains(&colour.as_str()) =>
        {
            Some(format!("{path}: {colour} is not of the palette {COLOURS:?}"))
        }
        _ => None,
    }
}

fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, value);
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| walk(inner, &format!("{path}.{key}"), visit)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, inner)| walk(inner, &format!("{path}[{index}]"), visit)),
        _ => {}
    }
}
