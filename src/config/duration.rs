//! Durations in Prometheus's notation: `1h30m`, `45s`, `250ms`.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Error;

/// The units in their required order, with their length in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A duration in a configuration file: one or more numbers with a unit (`y w d h m s ms`), the largest unit first. Decimals as in
/// Go (`1.5s`) are supported too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

/// A text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a duration: write a number with a unit, such as 500ms, 15s, 1m30s or 2h")]
pub struct DurationError {
    text: String,
}

/// Parses a duration.
///
/// # Errors
/// When the text is not a duration in Prometheus's or Go's notation, or is longer than 100 years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError {
        text: text.chars().take(40).collect(),
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(error)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let position = UNITS[next_unit..]
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(error)?;
        let part = multiply(number, UNITS[next_unit + position].1).ok_or_else(error)?;
        nanoseconds = nanoseconds.checked_add(part).ok_or_else(error)?;
        next_unit += position + 1;
        rest = tail;
    }
    if text.is_empty() || nanoseconds > 100 * UNITS[0].1 * 1_000_000 {
        return Err(error());
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// `number` (digits with at most nine decimals) times `milliseconds`, in nanoseconds.
fn multiply(number: &str, milliseconds: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || decimals.len() > 9 || (number.contains('.') && decimals.is_empty()) {
        return None;
    }
    let unit = milliseconds.checked_mul(1_000_000)?;
    let fraction = match decimals {
        "" => 0,
        digits => {
            let numerator = u128::from(digits.parse::<u64>().ok()?) * u128::from(unit);
            u64::try_from(numerator / 10_u128.pow(u32::try_from(digits.len()).ok()?)).ok()?
        }
    };
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(fraction)
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A duration: 500ms, 15s, 1m30s, 2h",
            "pattern": "^(0|([0-9]+(\\.[0-9]+)?(y|w|d|h|m|s|ms))+)$",
            "minimum": 0,
            "maximum": 0
        })
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, milliseconds) in UNITS {
            let count = rest / milliseconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= milliseconds;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_notations_of_prometheus_and_go() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1.5s", 1_500),
            ("1d1ms", 86_400_001),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn rejects_everything_else() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1s1m",
            "1s1s",
            "1.s",
            ".5s",
            "1x",
            "999999999y",
            "1e3s",
            "٣s",
            "18446744073709551615ms",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn display_can_be_parsed() {
        for text in ["0s", "1m30s", "1d2h3m4s5ms"] {
            assert_eq!(DurationText(parse(text).unwrap()).to_string(), text);
        }
    }
}
