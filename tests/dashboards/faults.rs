//! Tests of the checks themselves: every fault, put into a shipped dashboard, must be found.

use serde_json::{Value, json};

use crate::common::dashboards::{Dashboard, load};
use crate::complaints;

type Fault = (&'static str, fn(&mut Value), &'static str);

/// Name of the fault, how to put it into the overview, and a part of the expected complaint.
const FAULTS: [Fault; 27] = [
    (
        "other schema",
        |m| m["schemaVersion"] = json!(36),
        "schemaVersion is",
    ),
    ("other uid", |m| m["uid"] = json!("abc"), "uid is"),
    ("slow refresh", |m| m["refresh"] = json!("1m"), "refresh is"),
    ("stored id", |m| m["id"] = json!(7), "id is"),
    ("external export", |m| m["__inputs"] = json!([]), "__inputs"),
    (
        "variable gone",
        |m| drop(list(&mut m["templating"]["list"]).pop()),
        "the variables are",
    ),
    (
        "variable without all",
        |m| m["templating"]["list"][4]["includeAll"] = json!(false),
        "one or many",
    ),
    (
        "link to elsewhere",
        |m| m["links"][0]["url"] = json!("/d/other"),
        "does not lead",
    ),
    (
        "link without variables",
        |m| m["links"][0]["includeVars"] = json!(false),
        "does not lead",
    ),
    (
        "fixed data source",
        |m| m["panels"][0]["targets"][0]["datasource"]["uid"] = json!("P1"),
        ".datasource is",
    ),
    (
        "named data source",
        |m| m["panels"][0]["datasource"] = json!("Prometheus"),
        ".datasource is",
    ),
    (
        "green",
        |m| m["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"] = json!("green"),
        "palette",
    ),
    (
        "blue null",
        |m| m["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["color"] = json!("#0072B2"),
        "colour of null",
    ),
    (
        "null not mapped",
        |m| drop(list(&mut m["panels"][0]["fieldConfig"]["defaults"]["mappings"]).pop()),
        "null is not mapped",
    ),
    (
        "state without text",
        |m| m["panels"][0]["fieldConfig"]["defaults"]["mappings"][0]["options"]["3"]["text"] = json!(""),
        "has no text",
    ),
    (
        "empty panel shows nothing",
        |m| m["panels"][0]["fieldConfig"]["defaults"]["noValue"] = json!("0"),
        "noValue",
    ),
    (
        "no unit",
        |m| m["panels"][0]["fieldConfig"]["defaults"]["unit"] = json!(""),
        "unit is",
    ),
    (
        "no description",
        |m| m["panels"][0]["description"] = json!(""),
        "description is",
    ),
    (
        "plugin",
        |m| m["panels"][0]["type"] = json!("grafana-polystat-panel"),
        "not a panel that Grafana ships",
    ),
    (
        "same id",
        |m| m["panels"][1]["id"] = m["panels"][0]["id"].clone(),
        "two panels have the id",
    ),
    (
        "same title",
        |m| m["panels"][1]["title"] = m["panels"][0]["title"].clone(),
        "two panels have the title",
    ),
    (
        "too wide",
        |m| m["panels"][0]["gridPos"]["x"] = json!(20),
        "24 columns",
    ),
    (
        "overlap",
        |m| m["panels"][1]["gridPos"]["x"] = json!(5),
        "overlap",
    ),
    (
        "same letter",
        |m| m["panels"][2]["targets"][1]["refId"] = json!("A"),
        "not unique",
    ),
    (
        "instant and range",
        |m| m["panels"][0]["targets"][0]["range"] = json!(true),
        "either instant or range",
    ),
    (
        "dead override",
        |m| m["panels"][2]["fieldConfig"]["overrides"][0]["matcher"]["options"] = json!("State"),
        "matches nothing",
    ),
    (
        "repeat by nothing",
        |m| m["panels"][4]["repeat"] = json!("grup"),
        "repeats by",
    ),
];

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}

#[test]
fn every_fault_is_found() {
    let overview = load()
        .into_iter()
        .find(|dashboard| dashboard.stem == "overview")
        .expect("the overview");
    assert_eq!(
        complaints(&overview),
        Vec::<String>::new(),
        "the overview has no fault before"
    );
    for (name, spoil, expected) in FAULTS {
        let mut spoilt: Dashboard = overview.clone();
        spoil(&mut spoilt.model);
        let found = complaints(&spoilt);
        assert!(
            found.iter().any(|complaint| complaint.contains(expected)),
            "{name}: found only {found:?}"
        );
    }
}
