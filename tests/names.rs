//! Rules, dashboards and documents name only metrics and labels that exist.

#![allow(clippy::unwrap_used)]

#[path = "names/advice.rs"]
mod advice;
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::dashboards;
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde::Deserialize;
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::metrics;
use upkeep_exporter::model::MetricType;

/// Labels that Prometheus attaches to every series it scrapes.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// Metrics of Prometheus itself, with the labels of alerts and targets.
const OF_PROMETHEUS: [&str; 6] = [
    "ALERTS",
    "ALERTS_FOR_STATE",
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "vector",
];

/// Labels that only alerts and rules set.
const OF_ALERTS: [&str; 4] = ["alertname", "alertstate", "severity", "__name__"];

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    expr: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for entry in fs::read_dir(root().join("rules")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let text = fs::read_to_string(&path).unwrap();
            let file: RuleFile =
                serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            rules.extend(file.groups.into_iter().flat_map(|group| group.rules));
        }
    }
    assert!(rules.len() > 20, "only {} rules found", rules.len());
    rules
}

/// All series names of the exporter's metric table, with their labels.
fn exported() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut names = BTreeMap::new();
    for family in metrics::families() {
        let mut labels: BTreeSet<&str> = family
            .scope
            .labels()
            .iter()
            .chain(family.labels)
            .copied()
            .collect();
        if family.metric_type == MetricType::Histogram {
            names.insert(format!("{}_sum", family.name), labels.clone());
            names.insert(format!("{}_count", family.name), labels.clone());
            labels.insert("le");
            names.insert(format!("{}_bucket", family.name), labels);
        } else {
            names.insert(family.name.to_owned(), labels);
        }
    }
    names
}

/// The names in one expression: selectors with their label matchers, labels to group or join by, and labels that the expression
/// creates.
#[derive(Default)]
struct Named {
    selectors: Vec<(String, Vec<String>)>,
    labels: Vec<String>,
    created: Vec<String>,
}

impl ExprVisitor for Named {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        let selector = match expression {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                // count_values("total", ...) creates the label `total`.
                if let Some(Expr::StringLiteral(created)) = aggregate.param.as_deref() {
                    self.created.push(created.val.clone());
                }
                self.labels.extend(
                    aggregate
                        .modifier
                        .iter()
                        .flat_map(|by| by.labels().labels.clone()),
                );
                None
            }
            Expr::Binary(binary) => {
                if let Some(modifier) = &binary.modifier {
                    self.labels
                        .extend(modifier.matching.iter().flat_map(|on| on.labels().labels.clone()));
                    self.labels.extend(
                        modifier
                            .card
                            .labels()
                            .into_iter()
                            .flat_map(|group| group.labels.clone()),
                    );
                }
                None
            }
            Expr::Call(call) if call.func.name.starts_with("label_") => {
                if let Some(Expr::StringLiteral(created)) = call.args.args.get(1).map(AsRef::as_ref) {
                    self.created.push(created.val.clone());
                }
                None
            }
            _ => None,
        };
        if let Some(selector) = selector {
            let matchers = selector.matchers.matchers.iter();
            let name = selector.name.clone().unwrap_or_default();
            self.selectors
                .push((name, matchers.map(|matcher| matcher.name.clone()).collect()));
        }
        Ok(true)
    }
}

/// Returns the metrics and labels in `expression` that do not exist.
fn unknown_names(expression: &str, recorded: &BTreeSet<String>) -> Vec<String> {
    let parsed = parser::parse(expression).unwrap_or_else(|error| panic!("{error}: {expression}"));
    let mut named = Named::default();
    let Ok(_) = walk_expr(&mut named, &parsed);
    let exported = exported();
    let every_label: BTreeSet<&str> = exported
        .values()
        .flatten()
        .copied()
        .chain(TARGET_LABELS)
        .chain(OF_ALERTS)
        .chain(named.created.iter().map(String::as_str))
        .collect();
    let mut unknown = Vec::new();
    for (name, labels) in &named.selectors {
        let known: BTreeSet<&str> = match exported.get(name) {
            Some(labels) => labels.iter().copied().chain(TARGET_LABELS).collect(),
            None if name.is_empty() || recorded.contains(name) || OF_PROMETHEUS.contains(&name.as_str()) => {
                every_label.clone()
            }
            None => {
                unknown.push(format!("metric {name}"));
                continue;
            }
        };
        unknown.extend(
            labels
                .iter()
                .filter(|l| !known.contains(l.as_str()))
                .map(|l| format!("label {l} of {name}")),
        );
    }
    unknown.extend(
        named
            .labels
            .iter()
            .filter(|l| !every_label.contains(l.as_str()))
            .map(|l| format!("label {l}")),
    );
    unknown
}

fn recorded(rules: &[Rule]) -> BTreeSet<String> {
    rules.iter().filter_map(|rule| rule.record.clone()).collect()
}

#[test]
fn rules_name_only_what_exists() {
    let rules = rules();
    let recorded = recorded(&rules);
    for rule in &rules {
        let unknown = unknown_names(&rule.expr, &recorded);
        assert!(unknown.is_empty(), "{unknown:?} in {}", rule.expr);
        for text in rule.annotations.values() {
            assert_words_exist(text, &recorded);
        }
    }
}

#[test]
fn dashboards_name_only_what_exists() {
    let recorded = recorded(&rules());
    let queries = dashboards::queries(&dashboards::selection("api"));
    assert!(queries.len() > 40, "only {} queries found", queries.len());
    for query in queries {
        let unknown = unknown_names(&query.expr, &recorded);
        assert!(
            unknown.is_empty(),
            "{}, {}: {unknown:?} in {}",
            query.dashboard,
            query.panel,
            query.expr
        );
    }
}

/// The series for the tests of the Infrastructure dashboard must match the exported metrics.
#[test]
fn written_series_match_the_exported_metrics() {
    let (exported, none) = (exported(), BTreeSet::new());
    for series in dashboards::written_series() {
        let selector = series["series"].as_str().unwrap();
        let unknown = unknown_names(selector, &none);
        assert!(unknown.is_empty(), "{unknown:?} in {selector}");
        let (name, labels) = selector.split_once('{').unwrap();
        for label in exported[name].iter().filter(|_| name != "upkeep_build_info") {
            assert!(
                labels.contains(&format!("{label}=\"")),
                "{selector} lacks {label}"
            );
        }
    }
}

#[test]
fn documents_name_only_what_exists() {
    let recorded = recorded(&rules());
    let mut files = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for folder in ["docs", "docs/runbooks"] {
        files.extend(
            fs::read_dir(root().join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
    {
        assert_words_exist(&fs::read_to_string(file).unwrap(), &recorded);
    }
}

/// Asserts that every word that looks like a metric of the exporter is one, or a prefix of one (`upkeep_process_...`).
fn assert_words_exist(text: &str, recorded: &BTreeSet<String>) {
    let exported = exported();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for word in text
        .split(|c: char| !is_part(c))
        .filter(|w| w.starts_with("upkeep_") || w.starts_with("upkeep:"))
    {
        let word = word.trim_end_matches(':');
        let known = word.starts_with("upkeep_exporter")
            || recorded.contains(word)
            || exported.contains_key(word)
            || (word.ends_with('_') && exported.keys().any(|name| name.starts_with(word)))
            || metrics::families().any(|family| family.name == word);
        assert!(
            known,
            "{word} is not an exported metric: {}",
            text.lines().find(|l| l.contains(word)).unwrap()
        );
    }
}

/// People look up the reason of a refusal there.
#[test]
fn the_documentation_of_healing_has_every_refusal() {
    let text = fs::read_to_string(root().join("docs/HEALING.md")).unwrap();
    let table = text.split("## Safeguards").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let documented: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.as_str());
    assert_eq!(documented, refusals.collect());
}

/// The runbooks search the log for messages. A reworded message must be changed there too.
#[test]
fn runbooks_search_the_log_for_existing_messages() {
    let command = regex::Regex::new("journalctl -u upkeep_exporter.*grep '([^']+)'").unwrap();
    let sources: Vec<String> = sources(&root().join("src"));
    let mut found = 0;
    for entry in fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for message in command
            .captures_iter(&text)
            .map(|captures| captures[1].to_owned())
        {
            found += 1;
            assert!(
                sources.iter().any(|source| source.contains(&message)),
                "no log message contains {message:?}"
            );
        }
    }
    assert!(found >= 2, "only {found} searches found");
}

/// The text of every source file below `folder`.
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![fs::read_to_string(&path).unwrap_or_default()],
        })
        .collect()
}

#[test]
fn an_unknown_metric_or_label_is_found() {
    let none = BTreeSet::new();
    assert_eq!(
        unknown_names("rate(upkeep_no_such[5m])", &none),
        ["metric upkeep_no_such"]
    );
    assert_eq!(
        unknown_names("upkeep_service_up{check=\"a\"}", &none),
        ["label check of upkeep_service_up"]
    );
    assert_eq!(
        unknown_names("sum by (colour) (upkeep_service_up)", &none),
        ["label colour"]
    );
    assert!(
        unknown_names(
            "sum by (group) (upkeep_service_up{tier=\"critical\",job=~\".*\"})",
            &none
        )
        .is_empty()
    );
}
