//! A text of the configuration that stands for any bytes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Bytes, written as a text, with `\xNN` in double quotes, or with the tag `!!binary`. It has no `Debug` output, because it may be a
/// secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BytesText(pub Vec<u8>);

impl fmt::Debug for BytesText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BytesText").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for BytesText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyBytes;

        impl Visitor<'_> for AnyBytes {
            type Value = BytesText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<BytesText, E> {
                self.visit_bytes(text.as_bytes())
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<BytesText, E> {
                Ok(BytesText(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(AnyBytes)
    }
}

impl JsonSchema for BytesText {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}
