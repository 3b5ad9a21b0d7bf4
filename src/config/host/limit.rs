//! Limits as texts: a share such as `90%`, an amount such as `10%` or `500MB`, a load such as `2 per core`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::size;

/// The highest load that can be written. The kernel counts at most 4,194,304 tasks (PID_MAX_LIMIT in linux/threads.h).
const MAX_LOAD: f64 = 4_194_304.0;

/// The ending of a load per core.
const PER_CORE: &str = "per core";

/// A share of a whole, above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

/// A share of a whole, or a number of bytes or inodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A share of the whole.
    Share(Share),
    /// A number.
    Number(u64),
}

/// A limit of the load average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadLimit {
    /// A number of tasks.
    Total(f64),
    /// A number of tasks for each core.
    PerCore(f64),
}

/// A text is not a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not {what}")]
pub struct LimitError {
    text: String,
    what: &'static str,
}

const SHARE: &str = "a share: write a percentage above 0% and at most 100%, such as 90%";
const AMOUNT: &str =
    "an amount: write a percentage such as 10%, or a whole number with or without a unit, such as 500MB";
const LOAD: &str = "a load: write a number above 0, such as 8 or 2 per core";

fn error(text: &str, what: &'static str) -> LimitError {
    LimitError {
        text: text.chars().take(40).collect(),
        what,
    }
}

impl Share {
    /// Parses a percentage.
    ///
    /// # Errors
    /// If the text is not a percentage above 0 and at most 100.
    pub fn parse(text: &str) -> Result<Self, LimitError> {
        let number = text
            .strip_suffix('%')
            .and_then(|number| parse_decimal(number.trim_end()));
        number
            .filter(|percent| *percent > 0.0 && *percent <= 100.0)
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| error(text, SHARE))
    }

    /// The share, where 1 is the whole.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl Amount {
    /// Parses a percentage, or a number with an optional unit of bytes.
    ///
    /// # Errors
    /// If the text is neither.
    pub fn parse(text: &str) -> Result<Self, LimitError> {
        match text.ends_with('%') {
            true => Share::parse(text).map(Self::Share),
            false => size::parse(text)
                .map(Self::Number)
                .map_err(|_| error(text, AMOUNT)),
        }
    }

    /// The number that the amount means for this total.
    #[allow(clippy::cast_precision_loss, reason = "limits need no more than 53 bits")]
    pub fn of(self, total: u64) -> f64 {
        match self {
            Self::Share(share) => share.ratio() * total as f64,
            Self::Number(number) => number as f64,
        }
    }
}

impl LoadLimit {
    /// Parses a number, or a number `per core`.
    ///
    /// # Errors
    /// If the text is neither.
    pub fn parse(text: &str) -> Result<Self, LimitError> {
        let (number, limit): (&str, fn(f64) -> Self) = match text.strip_suffix(PER_CORE) {
            Some(number) if number.ends_with(' ') => (number.trim_end(), Self::PerCore),
            _ => (text, Self::Total),
        };
        parse_decimal(number)
            .filter(|load| *load > 0.0 && *load <= MAX_LOAD)
            .map(limit)
            .ok_or_else(|| error(text, LOAD))
    }

    /// The load that the limit means for this number of cores.
    #[allow(clippy::cast_precision_loss, reason = "machines have fewer than 2^53 cores")]
    pub fn of(self, cores: u64) -> f64 {
        match self {
            Self::Total(load) => load,
            Self::PerCore(load) => load * cores as f64,
        }
    }
}

/// Parses digits with optional decimals. Signs, exponents and `inf` are errors.
fn parse_decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_bounded = text.starts_with(|first: char| first.is_ascii_digit()) && text.len() <= 20;
    (is_plain && is_bounded).then(|| text.parse().ok())?
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The product can be off by a tiny fraction: 0.07 * 100 is 7.000000000000001.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for LoadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(load) => load.fmt(f),
            Self::PerCore(load) => write!(f, "{load} {PER_CORE}"),
        }
    }
}

/// Deserializes a limit from a text or a number with its `parse`.
struct LimitVisitor<T> {
    parse: fn(&str) -> Result<T, LimitError>,
    expecting: &'static str,
}

impl<T> Visitor<'_> for LimitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

macro_rules! limit {
    ($type:ident, $expecting:literal, $description:literal, $pattern:literal, $types:expr, $above:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(LimitVisitor {
                    parse: Self::parse,
                    expecting: $expecting,
                })
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                // The bound applies to numbers that are written without a unit.
                json_schema!({
                    "type": $types, "description": $description, "pattern": $pattern, "exclusiveMinimum": $above
                })
            }
        }
    };
}
limit!(
    Share,
    "a percentage such as 90%",
    "A percentage above 0% and at most 100%: 90%",
    "^[0-9.]+ *%$",
    ["string"],
    0
);
limit!(
    Amount,
    "a percentage such as 10%, or a number such as 500MB",
    "A percentage (10%), or a number with or without a unit of bytes (500MB, powers of 1024)",
    "^([0-9.]+ *%|[0-9]+ ?([kKmMgG]?[iI]?[bB]?))$",
    ["integer", "string"],
    -1
);
limit!(
    LoadLimit,
    "a load such as 8 or 2 per core",
    "A load average: 8, or 2 per core",
    "^[0-9.]+( +per core)?$",
    ["number", "string"],
    0
);
