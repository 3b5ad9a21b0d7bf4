//! The series of a text exposition.

use std::collections::{BTreeMap, BTreeSet};

/// A series: its name and its labels.
pub type Series = (String, BTreeMap<String, String>);

/// Parses an exposition in the classic format. The labels contain no escapes.
pub fn parse(text: &str) -> BTreeMap<Series, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| parse_line(line).unwrap_or_else(|| panic!("not a series: {line}")))
        .collect()
}

fn parse_line(line: &str) -> Option<(Series, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(((series.to_owned(), BTreeMap::new()), value));
    };
    let labels = labels.strip_suffix("\"}")?.split("\",");
    let labels = labels.map(|label| {
        let (name, value) = label.split_once("=\"")?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(((name.to_owned(), labels.collect::<Option<_>>()?), value))
}

/// The series of groups whose names begin with `prefix`.
pub fn of_groups(text: &str, prefix: &str) -> BTreeMap<Series, f64> {
    let mut found = parse(text);
    found.retain(|(_, labels), _| {
        labels
            .get("groupname")
            .is_some_and(|name| name.starts_with(prefix))
    });
    found
}

/// The families of process groups with their types and the names of their labels.
pub fn families(text: &str) -> BTreeSet<(String, String, Vec<String>)> {
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let series = parse(text).into_keys();
    let series = series.filter(|(name, _)| name.starts_with("namedprocess_"));
    series
        .map(|(name, labels)| {
            let type_name = types.get(name.as_str()).copied().unwrap_or_default().to_owned();
            (name, type_name, labels.into_keys().collect())
        })
        .collect()
}
