//! One string or several, looked for in any case.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place};

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Texts {
    /// Written as one string.
    One(String),
    /// Written as a list.
    Many(Vec<String>),
}

impl Texts {
    /// The strings, and an expression that any of them matches.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<(Vec<String>, Pattern), Invalid> {
        let texts = match self {
            Self::One(text) => {
                not_blank(&text, place)?;
                vec![text]
            }
            Self::Many(texts) if texts.is_empty() => {
                return Err(place.error("an empty list finds nothing; give at least one string"));
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
        match Pattern::any_of(&texts) {
            Ok(pattern) => Ok((texts, pattern)),
            Err(cause) => Err(place.error(format_args!(
                "too much to look for ({cause}); give fewer or shorter strings"
            ))),
        }
    }
}

fn not_blank(text: &str, place: &Place<'_>) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(place.error(
            "a blank string is found in nearly every process; give a part of the name or of the command line",
        ));
    }
    Ok(())
}

// Serde's untagged enums would answer a mistake with "data did not match any variant".
impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;

        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts::Many(texts))
            }
        }

        deserializer.deserialize_any(TextsVisitor)
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string, or a list of strings",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
        })
    }
}
