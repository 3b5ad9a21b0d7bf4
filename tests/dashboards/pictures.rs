//! The pictures of `make pictures` show everything: `tests/pictures` draws every panel type and applies every property of the
//! dashboards.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use crate::common::dashboards::load;

/// The part of a file of the page between two texts.
fn part(file: &str, from: &str, to: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pictures/page")
        .join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {file}"));
    rest.split_once(to)
        .unwrap_or_else(|| panic!("no {to} after {from} in {file}"))
        .0
        .to_owned()
}

#[test]
fn every_panel_type_is_drawn() {
    let key = Regex::new(r"(?m)^  '?([\w-]+)'?: \w+,$").expect("a valid regular expression");
    let text = part("panels.jsx", "export const TYPES = {", "};");
    let drawn: BTreeSet<&str> = key
        .captures_iter(&text)
        .filter_map(|found| Some(found.get(1)?.as_str()))
        .collect();
    let dashboards = load();
    let used: BTreeSet<&str> = dashboards
        .iter()
        .flat_map(|dashboard| dashboard.panels())
        .filter_map(|panel| panel["type"].as_str())
        .filter(|kind| *kind != "row")
        .collect();
    assert!(used.contains("stat"), "{used:?}");
    let missing: Vec<_> = used.difference(&drawn).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_property_of_a_field_is_applied() {
    let text = part("fields.js", "const PROPERTIES = [", "];");
    let applied: BTreeSet<&str> = text
        .split(',')
        .map(|name| name.trim().trim_matches('\''))
        .collect();
    for dashboard in load() {
        for panel in dashboard.panels() {
            let config = &panel["fieldConfig"];
            let defaults = config["defaults"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys());
            let overrides = config["overrides"].as_array().into_iter().flatten();
            let properties = overrides.flat_map(|each| each["properties"].as_array().into_iter().flatten());
            let set: BTreeSet<&str> = defaults
                .map(String::as_str)
                .chain(properties.filter_map(|property| property["id"].as_str()))
                .filter(|name| !name.starts_with("custom"))
                .collect();
            let unknown: Vec<_> = set.difference(&applied).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", dashboard.stem);
        }
    }
}
