//! Checks the shipped Grafana dashboards against Grafana's model (schema version 39) and the rules of this project:
//! they look alike, link to each other, never show missing data as healthy, and contain only queries that Prometheus parses.

mod common;
#[path = "dashboards/faults.rs"]
mod faults;
#[path = "dashboards/fields.rs"]
mod fields;
#[path = "dashboards/model.rs"]
mod model;
#[path = "dashboards/not_up.rs"]
mod not_up;
#[path = "dashboards/panels.rs"]
mod panels;
#[path = "dashboards/pictures.rs"]
mod pictures;
#[path = "dashboards/queries.rs"]
mod queries;
#[path = "dashboards/written.rs"]
mod written;

use std::collections::BTreeSet;

use common::dashboards::{Dashboard, load};

/// Returns everything that is wrong with one dashboard.
fn complaints(dashboard: &Dashboard) -> Vec<String> {
    let mut found = model::complaints(dashboard);
    found.extend(panels::complaints(dashboard));
    found
}

#[test]
fn shipped_dashboards_follow_the_model() {
    let found: Vec<String> = load().iter().flat_map(complaints).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_seven_dashboards_exist_once() {
    let uids: Vec<String> = load()
        .iter()
        .map(|dashboard| dashboard.uid().to_owned())
        .collect();
    assert_eq!(
        uids,
        [
            "upkeep-alerts",
            "upkeep-exporter",
            "upkeep-infrastructure",
            "upkeep-overview",
            "upkeep-platform",
            "upkeep-service",
            "upkeep-slo"
        ]
    );
    let titles: BTreeSet<String> = load()
        .iter()
        .map(|dashboard| dashboard.model["title"].to_string())
        .collect();
    assert_eq!(
        titles.len(),
        uids.len(),
        "two dashboards share a title: {titles:?}"
    );
}

#[test]
fn every_dashboard_links_to_all_others() {
    let all: BTreeSet<String> = load()
        .iter()
        .map(|dashboard| format!("/d/{}", dashboard.uid()))
        .collect();
    for dashboard in load() {
        let links = dashboard.model["links"].as_array().expect("links");
        let mut linked: BTreeSet<String> = links
            .iter()
            .filter_map(|link| link["url"].as_str().map(str::to_owned))
            .collect();
        linked.insert(format!("/d/{}", dashboard.uid()));
        assert_eq!(linked, all, "{}", dashboard.uid());
    }
}

#[test]
fn provisioning_files_have_the_keys_that_grafana_expects() {
    let read = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
        serde_yaml::from_str::<serde_json::Value>(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let sources = read("grafana/provisioning/datasources/upkeep.yml");
    assert_eq!(sources["apiVersion"], 1);
    assert_eq!(sources["datasources"][0]["type"], "prometheus");
    assert_eq!(sources["datasources"][0]["jsonData"]["timeInterval"], "5s");
    let dashboards = read("grafana/provisioning/dashboards/upkeep.yml");
    assert_eq!(dashboards["apiVersion"], 1);
    assert_eq!(dashboards["providers"][0]["type"], "file");
    let path = dashboards["providers"][0]["options"]["path"]
        .as_str()
        .expect("a path");
    let readme =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/README.md"));
    assert!(
        readme.expect("grafana/README.md").contains(path),
        "grafana/README.md does not contain {path}"
    );
}
