//! Reads the fields of a model leniently: a field of another type than expected counts as absent, because providers add and change fields
//! that this check does not need.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The maximum number of other names of a model. Mistral has at most five.
const MAX_ALIASES: usize = 16;
/// The longest token of a page, in bytes.
const MAX_TOKEN_BYTES: usize = 4096;

/// A text that is not empty.
pub fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The token of the next page.
pub fn token(value: &Value) -> Option<String> {
    text(value).filter(|token| token.len() <= MAX_TOKEN_BYTES)
}

/// A whole number that is not negative.
pub fn count(value: &Value) -> Option<u64> {
    value.as_u64()
}

/// A Unix time: a number, an RFC 3339 time, or a day (its start in UTC).
pub fn time(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return Some(seconds);
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
        is_enabled.then(|| name.clone())
    })
}

/// Capabilities in order, each once.
pub fn capabilities(found: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = found.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The entries of the list `key` that `parse` can read. `None` if there is no list.
pub fn entries<T>(page: &Value, key: &str, parse: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let list = page.get(key)?.as_array()?;
    Some(list.iter().filter_map(parse).collect())
}
