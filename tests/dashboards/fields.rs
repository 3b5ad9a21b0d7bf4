//! Checks of the values in panels: missing data never looks healthy, every state has a text and a colour, overrides match
//! something, links lead to a dashboard.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use crate::model::leads_to_a_dashboard;

/// Returns everything that is wrong with the `fieldConfig` of a panel.
pub fn complaints(panel: &Value) -> Vec<String> {
    [missing_data(panel), overrides(panel), data_links(panel)].concat()
}

/// Null must be grey, with text. Grafana uses the colour of the first threshold for null, unless a mapping matches it.
fn missing_data(panel: &Value) -> Vec<String> {
    let defaults = &panel["fieldConfig"]["defaults"];
    let overrides = panel["fieldConfig"]["overrides"].as_array().into_iter().flatten();
    let properties: Vec<&Value> = overrides
        .flat_map(|each| each["properties"].as_array().into_iter().flatten())
        .collect();
    let of = |id: &'static str| {
        properties
            .iter()
            .filter(move |property| property["id"] == id)
            .map(|property| &property["value"])
    };
    let mut found = Vec::new();
    for mappings in std::iter::once(&defaults["mappings"]).chain(of("mappings")) {
        found.extend(mapping(mappings));
    }
    for thresholds in std::iter::once(&defaults["thresholds"]).chain(of("thresholds")) {
        if thresholds["steps"][0] != json!({"color": "#5A5A5A", "value": null}) {
            found.push("the first threshold, which is the colour of null, is not grey".to_owned());
        }
    }
    if panel["type"] == "state-timeline"
        && !defaults["mappings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|each| each["type"] == "value"))
    {
        found.push("a state has no text".to_owned());
    }
    found
}

fn mapping(mappings: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut null = false;
    for mapping in mappings.as_array().into_iter().flatten() {
        let options = &mapping["options"];
        match mapping["type"].as_str() {
            Some("special") => {
                null |= options["match"] == "null+nan"
                    && options["result"]["text"] == "no data"
                    && options["result"]["color"] == "#5A5A5A";
            }
            Some("value") => {
                let states = options.as_object().into_iter().flatten();
                let silent = states.filter(|(_, state)| {
                    state["text"].as_str().is_none_or(str::is_empty) || !state["color"].is_string()
                });
                found.extend(silent.map(|(value, _)| format!("the state {value} has no text or no colour")));
            }
            // A range keeps the number as its text.
            Some("range") if options["from"].is_number() && options["to"].is_number() => {}
            other => found.push(format!("mapping {other:?} is not complete")),
        }
    }
    if !null {
        found.push("null is not mapped to a grey \"no data\"".to_owned());
    }
    found
}

fn overrides(panel: &Value) -> Vec<String> {
    let renamed = panel["transformations"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|each| each["options"]["renameByName"].as_object().into_iter().flatten());
    let columns: BTreeSet<&str> = renamed.filter_map(|(_, name)| name.as_str()).collect();
    let letters: BTreeSet<&str> = panel["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|target| target["refId"].as_str())
        .collect();
    let mut found = Vec::new();
    for matcher in panel["fieldConfig"]["overrides"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|each| &each["matcher"])
    {
        let what = matcher["options"].as_str().unwrap_or_default();
        let fits = match matcher["id"].as_str() {
            Some("byName") => panel["type"] != "table" || columns.contains(what),
            Some("byFrameRefID") => letters.contains(what),
            // Grafana expects the slashes of a JavaScript regular expression.
            Some("byRegexp") => Regex::new(what.trim_matches('/')).is_ok(),
            _ => false,
        };
        if !fits {
            found.push(format!("the override for {what:?} matches nothing"));
        }
    }
    for column in panel["options"]["sortBy"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|sort| sort["displayName"].as_str())
    {
        if !columns.contains(column) {
            found.push(format!("sorted by {column:?}, which is not a column"));
        }
    }
    found
}

fn data_links(panel: &Value) -> Vec<String> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().into_iter().flatten();
    let properties = overrides.flat_map(|each| each["properties"].as_array().into_iter().flatten());
    let lists = properties
        .filter(|property| property["id"] == "links")
        .map(|property| &property["value"]);
    let all = lists
        .chain(std::iter::once(&panel["fieldConfig"]["defaults"]["links"]))
        .flat_map(|list| list.as_array().into_iter().flatten());
    let bad = all.filter(|link| {
        let url = link["url"].as_str().unwrap_or_default();
        let keeps_variables = ["datasource", "job", "instance", "group"]
            .iter()
            .all(|name| url.contains(&format!("${{{name}:queryparam}}")));
        link["title"].as_str().is_none_or(str::is_empty)
            || !leads_to_a_dashboard(url)
            || !keeps_variables
            || !url.contains("${__url_time_range}")
    });
    bad.map(|link| {
        format!(
            "the link {} does not lead to a dashboard with the same variables and time range",
            link["url"]
        )
    })
    .collect()
}
