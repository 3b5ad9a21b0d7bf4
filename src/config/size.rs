//! Sizes in bytes: a number with or without a unit, such as `10MB` or `512KiB`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A number of bytes. Units are powers of 1024 with or without the `i`, as in blackbox_exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeText(pub u64);

/// A text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a size: write a number of bytes, or a whole number with a unit, such as 512KB or 10MB"
)]
pub struct SizeError {
    text: String,
}

/// Parses a size.
///
/// # Errors
/// When the text is not a whole number with an optional unit `B`, `KB`, `MB`, `GB`, or is 2^63 or more.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError {
        text: text.chars().take(40).collect(),
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err(error()),
    };
    let number: u64 = number.parse().map_err(|_| error())?;
    let bytes = number.checked_mul(1 << shift);
    bytes
        .filter(|bytes| *bytes <= i64::MAX.unsigned_abs())
        .ok_or_else(error)
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = SizeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 1048576 or 10MB")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<SizeText, E> {
                Ok(SizeText(bytes))
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<SizeText, E> {
                parse(&bytes.to_string()).map(SizeText).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SizeText, E> {
                parse(text).map(SizeText).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for SizeText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "A size in bytes: 1048576, 512KB, 10MB (powers of 1024)",
            "minimum": 0,
            "pattern": "^[0-9]+ ?([kKmMgG]?[iI]?[bB]?)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("1B", 1),
            ("10MB", 10 << 20),
            ("1 KiB", 1 << 10),
            ("2g", 2 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_an_error() {
        for text in [
            "",
            "MB",
            "-1",
            "1.5MB",
            "1XB",
            "99999999999GB",
            "18446744073709551615",
            "10 M B",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            parse("1.5MB").unwrap_err().to_string(),
            "\"1.5MB\" is not a size: write a number of bytes, or a whole number with a unit, such as 512KB or 10MB"
        );
    }

    #[test]
    fn deserializes_numbers_and_texts() {
        let read = |json: &str| serde_json::from_str::<SizeText>(json);
        assert_eq!(read("1024").unwrap(), SizeText(1024));
        assert_eq!(read("\"1KB\"").unwrap(), SizeText(1024));
        assert!(read("-1").is_err());
        assert!(read("true").is_err());
    }
}
