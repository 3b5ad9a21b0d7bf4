//! Status codes that a check accepts: single codes and ranges, such as `200`, `200-299` and `2xx`.

use std::fmt;
use std::ops::RangeInclusive;

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::place::{Invalid, Place, all};

/// Codes beyond 599 are invalid (RFC 9110, section 15), but some servers use them.
const VALID: RangeInclusive<u16> = 100..=999;

/// A code or a range of codes, as written. A single code may be out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRange(RangeInclusive<u16>);

/// Codes and ranges of codes, as written: a list, or one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusList(Vec<StatusRange>);

/// The accepted codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCodes(Vec<RangeInclusive<u16>>);

impl StatusRange {
    /// One code.
    pub const fn single(code: u16) -> Self {
        Self(code..=code)
    }

    /// The codes.
    pub fn codes(&self) -> &RangeInclusive<u16> {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let code = |digits: &str| {
            let is_code = digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
            is_code
                .then(|| digits.parse().ok())
                .flatten()
                .filter(|code| VALID.contains(code))
        };
        // 2xx is 200-299, and 20x is 200-209.
        let wildcard = |digit: &str| code(&text.to_ascii_lowercase().replace('x', digit));
        let range = match text.split_once('-') {
            Some((first, last)) => code(first.trim()).zip(code(last.trim())),
            None if text.trim_end_matches(['x', 'X']).contains(['x', 'X']) => None,
            None => wildcard("0").zip(wildcard("9")),
        };
        match range {
            Some((first, last)) if first > last => Err(format!(
                "{first} is greater than {last}: write the lower code first, as in {last}-{first}"
            )),
            Some((first, last)) => Ok(Self(first..=last)),
            // The text is not quoted: it may be a misplaced secret.
            None => Err(
                "not a status code: write a code such as 200, or a range such as 200-299 or 2xx".to_owned(),
            ),
        }
    }
}

impl StatusList {
    /// Validates the codes, which are at `place`.
    ///
    /// # Errors
    /// Reported at `place`.
    pub fn resolve(&self, place: &Place<'_>) -> Result<StatusCodes, Invalid> {
        let ranges = self.0.iter().enumerate().map(|(index, StatusRange(codes))| {
            if VALID.contains(codes.start()) && VALID.contains(codes.end()) {
                return Ok(codes.clone());
            }
            Err(place.index(index).error(format_args!(
                "{} is not an HTTP status code: write 100 to 999",
                codes.start()
            )))
        });
        all(ranges).map(StatusCodes)
    }
}

impl StatusCodes {
    /// Whether no codes are given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a code is one of them.
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|codes| codes.contains(&status.as_u16()))
    }

    /// The first code.
    pub fn first(&self) -> Option<u16> {
        self.0.first().map(|codes| *codes.start())
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        match last - first {
            0 => write!(f, "{first}"),
            99 if first % 100 == 0 => write!(f, "{}xx", first / 100),
            _ => write!(f, "{first}-{last}"),
        }
    }
}

/// As in "200 or 3xx".
impl fmt::Display for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, codes) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            StatusRange(codes.clone()).fmt(f)?;
        }
        Ok(())
    }
}

struct RangeVisitor;

impl Visitor<'_> for RangeVisitor {
    type Value = StatusRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status code such as 200, or a range such as 200-299 or 2xx")
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<StatusRange, E> {
        u16::try_from(code).map(StatusRange::single).map_err(|_| {
            E::custom(format_args!(
                "{code} is not an HTTP status code: write 100 to 999"
            ))
        })
    }

    fn visit_i64<E: Error>(self, code: i64) -> Result<StatusRange, E> {
        Err(E::custom(format_args!(
            "{code} is not an HTTP status code: write 100 to 999"
        )))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusRange, E> {
        StatusRange::parse(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangeVisitor)
    }
}

impl<'de> Deserialize<'de> for StatusList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = StatusList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of status codes such as [200, 301], or a range such as 2xx")
            }

            fn visit_u64<E: Error>(self, code: u64) -> Result<StatusList, E> {
                RangeVisitor.visit_u64(code).map(|range| StatusList(vec![range]))
            }

            fn visit_i64<E: Error>(self, code: i64) -> Result<StatusList, E> {
                RangeVisitor.visit_i64(code).map(|range| StatusList(vec![range]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StatusList, E> {
                RangeVisitor.visit_str(text).map(|range| StatusList(vec![range]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StatusList, A::Error> {
                let mut ranges = Vec::new();
                while let Some(range) = list.next_element()? {
                    ranges.push(range);
                }
                Ok(StatusList(ranges))
            }
        }

        deserializer.deserialize_any(ListVisitor)
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status code, or a range of them: 200, 200-299, 2xx",
            "type": ["integer", "string"],
            "minimum": VALID.start(),
            "maximum": VALID.end(),
            "pattern": "^ *([1-9][0-9]{2}|[1-9][0-9]{2} *- *[1-9][0-9]{2}|[1-9][xX]{2}|[1-9][0-9][xX]) *$"
        })
    }
}

impl JsonSchema for StatusList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let range = generator.subschema_for::<StatusRange>();
        json_schema!({ "anyOf": [range, { "type": "array", "items": range }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges_are_recognized() {
        for (text, shown) in [
            ("200", "200"),
            ("200-299", "2xx"),
            ("200 - 204", "200-204"),
            ("2xx", "2xx"),
            ("5XX", "5xx"),
            ("20x", "200-209"),
            ("100-999", "100-999"),
        ] {
            assert_eq!(StatusRange::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "", "2", "x", "xx", "xxx", "2x", "2x0", "2x0x", "0xx", "099", "1000", "-200", "200-", "2xx-3xx",
            "200,301", "ok",
        ] {
            assert!(StatusRange::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            StatusRange::parse("299-200").unwrap_err(),
            "299 is greater than 200: write the lower code first, as in 200-299"
        );
    }

    #[test]
    fn a_range_accepts_its_codes() {
        let codes = StatusCodes(vec![200..=299, 404..=404]);
        for (code, is_accepted) in [(199, false), (200, true), (299, true), (300, false), (404, true)] {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(codes.contains(status), is_accepted, "{code}");
        }
        assert_eq!(codes.to_string(), "2xx or 404");
        assert_eq!(codes.first(), Some(200));
    }
}
