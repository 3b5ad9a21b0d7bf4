//! Reads the shipped Grafana dashboards, and all their queries with Grafana's variables replaced.
#![allow(dead_code, reason = "each test that includes this module uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// One dashboard file.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// The file's name without its extension, as in `overview`.
    pub stem: String,
    /// The file's content.
    pub model: Value,
}

impl Dashboard {
    /// The uid under which Grafana serves the dashboard, as in `upkeep-overview`.
    pub fn uid(&self) -> &str {
        self.model["uid"].as_str().unwrap_or_default()
    }

    /// All panels, including those inside collapsed rows.
    pub fn panels(&self) -> Vec<&Value> {
        let top = self.model["panels"].as_array().into_iter().flatten();
        top.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
            .collect()
    }
}

/// One query of a dashboard, ready for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The dashboard's uid.
    pub dashboard: String,
    /// The title of the panel; `NAME (variable)` and `NAME (annotation)` for queries without a panel.
    pub panel: String,
    /// The query's letter within the panel.
    pub ref_id: String,
    /// The PromQL expression, without Grafana's variables. For a variable's `label_values(SELECTOR, LABEL)` this is
    /// `group by (LABEL) (SELECTOR)`.
    pub expr: String,
}

/// The directory of the dashboards.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards")
}

/// Reads all dashboards, sorted by file name. Panics with the file name if reading fails.
pub fn load() -> Vec<Dashboard> {
    let files = std::fs::read_dir(directory()).expect("grafana/dashboards can be listed");
    let mut paths: Vec<PathBuf> = files
        .map(|entry| entry.expect("an entry of grafana/dashboards").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Dashboard {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    let model =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("parsing {}: {error}", path.display()));
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .expect("a file name in UTF-8");
    Dashboard {
        stem: stem.to_owned(),
        model,
    }
}

/// Values for Grafana's variables and macros: one service, all other variables match everything, a time range of five minutes.
/// `service` is its key. The Service dashboard matches it exactly; the others use a regular expression.
pub fn selection(service: &str) -> BTreeMap<String, String> {
    let values = [
        ("job", ".*"),
        ("instance", ".*"),
        ("group", ".*"),
        ("service", service),
        ("__interval", "15s"),
        ("__rate_interval", "1m"),
        ("__range", "5m"),
        ("__range_s", "300"),
    ];
    values
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The dashboards whose queries must return data for the series of `tests/dashboards/written.yml`. The end-to-end test runs few of
/// the kinds that they show, and is shorter than the intervals of the rules for objectives.
pub const WRITTEN: [&str; 3] = ["upkeep-infrastructure", "upkeep-platform", "upkeep-slo"];

/// An entry of `tests/dashboards/may_be_empty.yml`: a panel whose queries may return no data.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayBeEmpty {
    /// The dashboard's uid.
    pub dashboard: String,
    /// The panel, as [`Query::panel`] names it.
    pub panel: String,
    /// Why it may be empty.
    pub reason: String,
}

/// Reads `tests/dashboards/may_be_empty.yml`. Panics if that fails.
pub fn may_be_empty() -> Vec<MayBeEmpty> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboards/may_be_empty.yml");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("parsing {}: {error}", path.display()))
}

/// Reads `tests/dashboards/written.yml`: series of one server of every kind of component, in promtool's format. Panics if that
/// fails.
pub fn written_series() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboards/written.yml");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("parsing {}: {error}", path.display()))
}

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$(?:\{(\w+)(?::\w+)?\}|([A-Za-z_]\w*))").expect("a valid regular expression")
});

/// Replaces `$name`, `${name}` and `${name:format}` in `text`. `$1` stays, because it belongs to `label_replace`.
///
/// # Errors
/// The first variable without a value in `values`.
pub fn substitute(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut missing = None;
    let replaced = VARIABLE.replace_all(text, |found: &Captures<'_>| {
        let name = found.get(1).or(found.get(2)).map_or("", |group| group.as_str());
        values.get(name).cloned().unwrap_or_else(|| {
            missing.get_or_insert_with(|| name.to_owned());
            String::new()
        })
    });
    let replaced = replaced.into_owned();
    missing.map_or(Ok(replaced), |name| {
        Err(format!("no value for ${name} in {text:?}"))
    })
}

/// All queries of all dashboards: panels, variables and annotations. Panics with the location of a query that uses a variable
/// without a value or has an unknown form.
pub fn queries(values: &BTreeMap<String, String>) -> Vec<Query> {
    load()
        .iter()
        .flat_map(|dashboard| queries_of(dashboard, values))
        .collect()
}

/// The queries of one dashboard, as in [`queries`].
pub fn queries_of(dashboard: &Dashboard, values: &BTreeMap<String, String>) -> Vec<Query> {
    let query = |panel: String, ref_id: &Value, expr: &str| {
        let expr =
            substitute(expr, values).unwrap_or_else(|error| panic!("{} / {panel}: {error}", dashboard.uid()));
        let ref_id = ref_id.as_str().unwrap_or_default().to_owned();
        Query {
            dashboard: dashboard.uid().to_owned(),
            panel,
            ref_id,
            expr,
        }
    };
    let title = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(query(
                title(panel, "title"),
                &target["refId"],
                target["expr"].as_str().unwrap_or_default(),
            ));
        }
    }
    for variable in dashboard.model["templating"]["list"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(text) = variable["query"]["query"].as_str() {
            let expr = label_values(text)
                .unwrap_or_else(|| panic!("{}: not label_values(...): {text}", dashboard.uid()));
            found.push(query(
                format!("{} (variable)", title(variable, "name")),
                &Value::Null,
                &expr,
            ));
        }
    }
    for annotation in dashboard.model["annotations"]["list"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(expr) = annotation["expr"].as_str() {
            found.push(query(
                format!("{} (annotation)", title(annotation, "name")),
                &Value::Null,
                expr,
            ));
        }
    }
    found
}

/// Turns Grafana's `label_values(SELECTOR, LABEL)` into PromQL that returns one series per value.
fn label_values(text: &str) -> Option<String> {
    let inner = text.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (selector, label) = inner.rsplit_once(',')?;
    Some(format!("group by ({}) ({selector})", label.trim()))
}
