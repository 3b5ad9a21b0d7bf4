//! One header of a websocket check: a text, or values, secret values and files. blackbox_exporter's own examples have a text, which
//! its main branch does not load.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::config::http::HeaderValuesOptions;
use crate::config::schema_scalars::TEXT_ONLY;

/// The values of a header.
#[derive(Clone, Default)]
pub struct HeaderOptions(pub HeaderValuesOptions);

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for HeaderOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;

        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = HeaderOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a mapping with values, secrets or files")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HeaderOptions, E> {
                Ok(HeaderOptions(HeaderValuesOptions {
                    values: vec![text.to_owned()],
                    ..HeaderValuesOptions::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderOptions, A::Error> {
                HeaderValuesOptions::deserialize(MapAccessDeserializer::new(map)).map(HeaderOptions)
            }
        }

        deserializer.deserialize_any(HeaderVisitor)
    }
}

impl JsonSchema for HeaderOptions {
    fn schema_name() -> Cow<'static, str> {
        "HeaderOptions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<HeaderValuesOptions>();
        json_schema!({ "anyOf": [{ "type": "string", "$comment": TEXT_ONLY }, mapping] })
    }
}
