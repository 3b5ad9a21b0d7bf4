//! Reads the fields of a model leniently: a field of another type than expected counts as absent, because providers add and change fields
//! that this check does not need.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The maximum number of other names of a model. Mistral has at most five.
const MAX_ALIASES: usize = 16;
/// The longest text, in bytes. Ids and names have about 100. A longer text counts as absent, because all texts are stored.
const MAX_TEXT_BYTES: usize = 1024;
/// The maximum number of capabilities of a model that are read. Providers name at most about ten.
const MAX_CAPABILITIES: usize = 64;
/// The longest token of a page, in bytes.
const MAX_TOKEN_BYTES: usize = 4096;

/// A text that is not empty.
pub fn text(value: &Value) -> Option<String> {
    bounded(value, MAX_TEXT_BYTES)
}

/// The token of the next page.
pub fn token(value: &Value) -> Option<String> {
    bounded(value, MAX_TOKEN_BYTES)
}

fn bounded(value: &Value, max_bytes: usize) -> Option<String> {
    let text = value
        .as_str()
        .filter(|text| (1..=max_bytes).contains(&text.len()));
    text.map(str::to_owned)
}

/// A whole number that is not negative.
pub fn count(value: &Value) -> Option<u64> {
    value.as_u64()
}

/// A Unix time: a number, an RFC 3339 time, or a day (its start in UTC). 0 and less is no time of a model: some servers send 0 if there
/// is none.
pub fn time(value: &Value) -> Option<i64> {
    any_time(value).filter(|seconds| *seconds > 0)
}

fn any_time(value: &Value) -> Option<i64> {
    /// Seconds stay below this number until the year 5138, so a greater one has milliseconds.
    const SECONDS_BELOW: i64 = 100_000_000_000;
    if let Some(number) = value.as_i64() {
        return Some(if number < SECONDS_BELOW {
            number
        } else {
            number / 1000
        });
    }
    let text = value.as_str()?;
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let day = text.parse::<Date>().ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The texts of a list.
pub fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(text)
}

/// Other names of a model.
pub fn aliases(value: &Value) -> Vec<String> {
    texts(value).take(MAX_ALIASES).collect()
}

/// The names of the members that are true, or objects with `supported: true`.
pub fn enabled(value: &Value) -> impl Iterator<Item = String> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| {
        let is_enabled = value == true || value["supported"] == true;
        (is_enabled && name.len() <= MAX_TEXT_BYTES).then(|| name.clone())
    })
}

/// Capabilities in order, each once.
pub fn capabilities(found: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = found.take(MAX_CAPABILITIES).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The entries of the list `key` that `parse` can read. `None` if there is no list.
pub fn entries<T>(page: &Value, key: &str, parse: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let list = page.get(key)?.as_array()?;
    Some(list.iter().filter_map(parse).collect())
}
