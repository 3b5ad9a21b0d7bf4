//! Strict parsers of both exposition formats. Every deviation from the specification is an error.

use std::collections::{BTreeMap, BTreeSet};

use upkeep_exporter::metrics::Format;

#[derive(Clone, Debug, Default)]
pub struct ParsedFamily {
    pub name: String,
    pub help: String,
    pub metric_type: String,
    pub unit: Option<String>,
    pub samples: Vec<ParsedSample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ParsedSample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

type Parsed<T> = Result<T, String>;

/// Parses a whole exposition.
pub fn parse(text: &str, format: Format) -> Parsed<Vec<ParsedFamily>> {
    let body = match format {
        Format::OpenMetrics => text.strip_suffix("# EOF\n").ok_or("no EOF mark at the end")?,
        Format::Classic | Format::Protobuf => text,
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no line feed".into());
    }
    let mut families: Vec<ParsedFamily> = Vec::new();
    for line in body.split_terminator('\n') {
        parse_line(line, format, &mut families).map_err(|error| format!("{error}: {line}"))?;
    }
    let mut names = BTreeSet::new();
    for family in &families {
        if !names.insert(&family.name) {
            return Err(format!("{} is repeated", family.name));
        }
        check_family(family, format).map_err(|error| format!("{}: {error}", family.name))?;
    }
    Ok(families)
}

fn parse_line(line: &str, format: Format, families: &mut Vec<ParsedFamily>) -> Parsed<()> {
    let Some(metadata) = line.strip_prefix("# ") else {
        let family = families.last_mut().ok_or("a sample before any family")?;
        let sample = parse_sample(line, format)?;
        let suffix = sample
            .name
            .strip_prefix(family.name.as_str())
            .ok_or("not of its family")?;
        let allowed: &[&str] = match (family.metric_type.as_str(), format) {
            ("counter", Format::OpenMetrics) => &["_total"],
            ("info", Format::OpenMetrics) => &["_info"],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            ("gauge", _) | ("counter", Format::Classic) => &[""],
            (other, _) => return Err(format!("type {other:?}")),
        };
        if !allowed.contains(&suffix) {
            return Err(format!("suffix {suffix:?}"));
        }
        family.samples.push(sample);
        return Ok(());
    };
    let mut words = metadata.splitn(3, ' ');
    let (keyword, name, rest) = (words.next(), words.next(), words.next());
    let (Some(keyword), Some(name), Some(rest)) = (keyword, name, rest) else {
        return Err("incomplete metadata".into());
    };
    if keyword == "HELP" {
        families.push(ParsedFamily {
            name: check_name(name)?.into(),
            help: rest.into(),
            ..ParsedFamily::default()
        });
        return Ok(());
    }
    let family = families.last_mut().ok_or("metadata before HELP")?;
    if family.name != name || !family.samples.is_empty() {
        return Err("metadata apart from its family".into());
    }
    match (keyword, format) {
        ("TYPE", _) if family.metric_type.is_empty() => family.metric_type = rest.into(),
        ("UNIT", Format::OpenMetrics) if name.ends_with(&format!("_{rest}")) => {
            family.unit = Some(rest.into())
        }
        _ => return Err("unknown or repeated metadata".into()),
    }
    Ok(())
}

fn check_name(name: &str) -> Parsed<&str> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    match name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit()) {
        true => Ok(name),
        false => Err(format!("name {name:?}")),
    }
}

fn parse_sample(line: &str, format: Format) -> Parsed<ParsedSample> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = parse_labels(inner, &mut labels)?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    if value.contains([' ', '#']) {
        return Err("something after the value".into());
    }
    let number = match (value, format) {
        ("inf" | "+Inf", _) => f64::INFINITY,
        ("-inf" | "-Inf", _) => f64::NEG_INFINITY,
        ("NaN", _) => f64::NAN,
        (digits, _) if digits.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) => {
            digits.parse().map_err(|_| format!("value {digits:?}"))?
        }
        (other, _) => return Err(format!("value {other:?}")),
    };
    Ok(ParsedSample {
        name: check_name(name)?.into(),
        labels,
        value: number,
    })
}

/// Parses labels up to the closing brace, and returns the rest of the line.
fn parse_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Parsed<&'a str> {
    loop {
        let (name, tail) = rest.split_once("=\"").ok_or("a label without a value")?;
        let mut value = String::new();
        let mut characters = tail.char_indices();
        let end = loop {
            match characters.next().ok_or("an unterminated label value")? {
                (position, '"') => break position + 1,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    other => return Err(format!("escape {other:?}")),
                },
                (_, '\0') => return Err("a NUL".into()),
                (_, other) => value.push(other),
            }
        };
        if labels.insert(check_name(name)?.into(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        rest = &tail[end..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

fn check_family(family: &ParsedFamily, format: Format) -> Parsed<()> {
    if family.metric_type.is_empty() || family.help.is_empty() || family.samples.is_empty() {
        return Err("without type, help or samples".into());
    }
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("{sample:?} is repeated"));
        }
        if family.metric_type == "counter" && !(sample.value >= 0.0 && sample.value.is_finite()) {
            return Err(format!("{sample:?} is not a valid count"));
        }
        if family.metric_type == "info" && sample.value != 1.0 {
            return Err(format!("{sample:?} is not 1"));
        }
        if format == Format::Classic && family.metric_type == "counter" && !family.name.ends_with("_total") {
            return Err("a counter without _total".into());
        }
    }
    match family.metric_type == "histogram" {
        true => check_histogram(family),
        false => Ok(()),
    }
}

/// Checks that buckets increase, end at infinity, and match the count.
fn check_histogram(family: &ParsedFamily) -> Parsed<()> {
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    let mut sums = BTreeSet::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        match (sample.name.strip_prefix(&family.name), bound) {
            (Some("_bucket"), Some(bound)) => {
                let bound = match bound.as_str() {
                    "+Inf" => f64::INFINITY,
                    other if other.contains('.') => other.parse().map_err(|_| "a bound")?,
                    other => return Err(format!("{other:?} is not the canonical form of a bound")),
                };
                buckets.entry(labels).or_default().push((bound, sample.value));
            }
            (Some("_count"), None) => drop(counts.insert(labels, sample.value)),
            (Some("_sum"), None) => drop(sums.insert(labels)),
            _ => return Err(format!("{sample:?} is not a part of a histogram")),
        }
    }
    for (labels, buckets) in &buckets {
        let is_rising = buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let last = buckets.last().copied().unwrap_or_default();
        if !is_rising
            || last.0 != f64::INFINITY
            || counts.get(labels) != Some(&last.1)
            || !sums.contains(labels)
        {
            return Err(format!("the histogram of {labels:?} is inconsistent"));
        }
    }
    match counts.len() == buckets.len() && sums.len() == buckets.len() {
        true => Ok(()),
        false => Err("parts of histograms are missing".into()),
    }
}
