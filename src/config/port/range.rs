//! A range of ports.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A range of ports, written as `8080-8099`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(RangeInclusive<u16>);

impl PortRange {
    fn parse(text: &str) -> Result<Self, String> {
        let port = |digits: &str| digits.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let range = text
            .split_once('-')
            .and_then(|(first, last)| Some((port(first)?, port(last)?)));
        match range {
            Some((first, last)) if first > last => Err(format!(
                "{first} is greater than {last}: write the lower port first, as in {last}-{first}"
            )),
            Some((first, last)) => Ok(Self(first..=last)),
            None => Err(format!(
                "\"{}\" is not a range of ports: write two ports between 1 and 65535, such as 8080-8099",
                text.chars().take(40).collect::<String>()
            )),
        }
    }

    /// The ports in ascending order.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for PortRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Two ports with a hyphen between them, such as 8080-8099",
            "type": "string",
            "pattern": "^ *[0-9]{1,5} *- *[0-9]{1,5} *$"
        })
    }
}
