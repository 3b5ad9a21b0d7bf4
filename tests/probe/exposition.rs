//! Reads what a probe answers.

use std::collections::BTreeMap;

/// The values by series, as they are written.
pub fn series(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("no series: {line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("no value: {line}"));
        assert!(series.insert(sorted(name), value).is_none(), "twice: {line}");
    }
    series
}

/// A series with its labels in the order of the alphabet. No value in these tests has a comma and a quote in it.
fn sorted(series: &str) -> String {
    let Some((family, labels)) = series.strip_suffix('}').and_then(|series| series.split_once('{')) else {
        return series.to_owned();
    };
    let mut labels: Vec<&str> = labels
        .split_inclusive("\",")
        .map(|label| label.trim_end_matches(','))
        .collect();
    labels.sort_unstable();
    format!("{family}{{{}}}", labels.join(","))
}

/// The types by family.
pub fn types(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let split = |line: &str| {
        line.split_once(' ')
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
    };
    lines.filter_map(split).collect()
}

/// The family of a series.
pub fn family(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}
