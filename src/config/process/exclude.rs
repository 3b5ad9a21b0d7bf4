//! What a process check leaves out: texts, expressions, or both.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Texts, resolve_regexes};
use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place};

/// What is left out, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclude {
    /// Written as a text or a list of texts.
    Texts(Texts),
    /// Written as a mapping.
    Parts(ExcludeParts),
}

/// What is left out, as a mapping. A process is left out when any of it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcludeParts {
    /// Texts, found in any case.
    #[serde(rename = "match")]
    pub matches: Option<Texts>,
    /// Regular expressions; case matters.
    pub regex: Option<Texts>,
}

impl Exclude {
    /// The expressions any of which leaves a process out.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<Vec<Pattern>, Invalid> {
        let parts = match self {
            Self::Texts(texts) => return Ok(vec![texts.resolve(place)?.1]),
            Self::Parts(parts) => parts,
        };
        if parts == ExcludeParts::default() {
            return Err(place.error("an empty mapping leaves nothing out: give match or regex"));
        }
        let texts = parts.matches.map(|texts| texts.resolve(&place.field("match")));
        let texts = texts.transpose();
        let expressions = parts
            .regex
            .map(|list| resolve_regexes(list, &place.field("regex")));
        let (texts, expressions) = (texts?, expressions.transpose()?);
        let mut patterns = expressions.unwrap_or_default();
        patterns.extend(texts.map(|(_, pattern)| pattern));
        Ok(patterns)
    }
}

// Serde's untagged enums would answer a mistake with "data did not match any variant".
impl<'de> Deserialize<'de> for Exclude {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExcludeVisitor;

        impl<'de> Visitor<'de> for ExcludeVisitor {
            type Value = Exclude;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of strings, or a mapping with match or regex")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Exclude, E> {
                Ok(Exclude::Texts(Texts::One(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Exclude, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Exclude::Texts)
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
            "anyOf": [generator.subschema_for::<Texts>(), generator.subschema_for::<ExcludeParts>()]
        })
    }
}
