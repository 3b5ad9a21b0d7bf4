//! One string or several: texts to search for ignoring case, or regular expressions.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place, all};
use crate::config::schema_scalars::{ANY_SCALAR, TEXT_ONLY};

/// A string or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrMany {
    /// One string.
    One(String),
    /// A list of strings.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Resolves the strings as texts to search for. Returns them, and an expression that finds any of them.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<(Vec<String>, Pattern), Invalid> {
        let texts = match self {
            Self::One(text) => {
                not_blank(&text, place)?;
                vec![text]
            }
            Self::Many(texts) if texts.is_empty() => {
                return Err(place.error("empty list: write at least one string, or remove this key"));
            }
            Self::Many(texts) => {
                let mut checked = Ok(());
                for (index, text) in texts.iter().enumerate() {
                    checked = checked.and(not_blank(text, &place.index(index)));
                }
                checked?;
                texts
            }
        };
        let pattern = place.compile_any_of(&texts)?;
        Ok((texts, pattern))
    }

    /// Compiles the strings as regular expressions.
    pub(super) fn resolve_regexes(self, place: &Place<'_>) -> Result<Vec<Pattern>, Invalid> {
        match self {
            Self::One(source) => Ok(vec![resolve_regex(&source, place)?]),
            Self::Many(sources) if sources.is_empty() => {
                Err(place.error("empty list: write at least one regular expression, or remove this key"))
            }
            Self::Many(sources) => all(sources
                .iter()
                .enumerate()
                .map(|(index, source)| resolve_regex(source, &place.index(index)))),
        }
    }
}

/// Compiles a regular expression.
pub(super) fn resolve_regex(source: &str, place: &Place<'_>) -> Result<Pattern, Invalid> {
    if source.is_empty() {
        return Err(
            place.error("empty, which matches every process: write a part of the name or command line")
        );
    }
    place.compile_pattern(source)
}

fn not_blank(text: &str, place: &Place<'_>) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(place
            .error("blank, which matches nearly every process: write a part of the name or command line"));
    }
    Ok(())
}

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor;

        impl<'de> Visitor<'de> for OneOrManyVisitor {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }

        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string, or a list of strings",
            "anyOf": [
                { "type": "string", "pattern": "\\S", "$comment": TEXT_ONLY },
                { "type": "array", "items": { "type": "string", "pattern": "\\S", "$comment": ANY_SCALAR }, "minItems": 1 }
            ]
        })
    }
}
