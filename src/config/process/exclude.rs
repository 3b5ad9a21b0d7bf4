//! The processes that a process check ignores: by strings, regular expressions, or both.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::one_or_many::OneOrMany;
use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place};

/// The option `exclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclude {
    /// A string or a list of strings.
    OneOrMany(OneOrMany),
    /// A mapping.
    Parts(ExcludeParts),
}

/// The option `exclude` as a mapping. A process is ignored if any of these matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcludeParts {
    /// Strings, ignoring case.
    #[serde(rename = "match")]
    pub matches: Option<OneOrMany>,
    /// Regular expressions. Case matters.
    pub regex: Option<OneOrMany>,
}

impl Exclude {
    /// Resolves to expressions. A process is ignored if any of them matches.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<Vec<Pattern>, Invalid> {
        let parts = match self {
            Self::OneOrMany(texts) => return Ok(vec![texts.resolve(place)?.1]),
            Self::Parts(parts) => parts,
        };
        if parts == ExcludeParts::default() {
            return Err(place.error("empty mapping: add match or regex"));
        }
        let texts = parts.matches.map(|texts| texts.resolve(&place.field("match")));
        let texts = texts.transpose();
        let expressions = parts
            .regex
            .map(|list| list.resolve_regexes(&place.field("regex")));
        let (texts, expressions) = (texts?, expressions.transpose()?);
        let mut patterns = expressions.unwrap_or_default();
        patterns.extend(texts.map(|(_, pattern)| pattern));
        Ok(patterns)
    }
}

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for Exclude {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExcludeVisitor;

        impl<'de> Visitor<'de> for ExcludeVisitor {
            type Value = Exclude;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of strings, or a mapping with match or regex")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Exclude, E> {
                Ok(Exclude::OneOrMany(OneOrMany::One(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Exclude, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Exclude::OneOrMany)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Exclude, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Exclude::Parts)
            }
        }

        deserializer.deserialize_any(ExcludeVisitor)
    }
}

impl JsonSchema for Exclude {
    fn schema_name() -> Cow<'static, str> {
        "Exclude".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string, a list of strings, or a mapping with match or regex",
            "anyOf": [generator.subschema_for::<OneOrMany>(), generator.subschema_for::<ExcludeParts>()]
        })
    }
}
