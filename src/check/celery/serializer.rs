//! The serializers of kombu, as far as remote control needs them. Pure.
//!
//! Only plain data is written and read: objects, texts, numbers. The length of a reply bounds what is read.

mod pickle;

use serde::Deserialize;
use serde_json::Value;

use crate::config::celery::Serializer;

/// The maximum nesting when reading. A reply has three levels.
const MAX_DEPTH: usize = 16;

impl Serializer {
    /// Its content type (kombu.serialization).
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/x-yaml",
            Self::Msgpack => "application/x-msgpack",
            Self::Pickle => "application/x-python-serialize",
        }
    }

    /// The serializer with this content type.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|serializer| serializer.content_type() == content_type)
    }

    /// The content encoding that kombu sends with it.
    pub const fn content_encoding(self) -> &'static str {
        match self {
            Self::Json | Self::Yaml => "utf-8",
            Self::Msgpack | Self::Pickle => "binary",
        }
    }

    /// Serializes a value.
    pub fn write(self, value: &Value) -> Vec<u8> {
        match self {
            // JSON is also YAML (YAML 1.2, section 1.3), and PyYAML reads this output.
            Self::Json | Self::Yaml => value.to_string().into_bytes(),
            // Writing to memory does not fail, and MessagePack can represent every JSON value.
            Self::Msgpack => rmp_serde::to_vec(value).unwrap_or_default(),
            Self::Pickle => pickle::write(value),
        }
    }

    /// Deserializes a value.
    ///
    /// # Errors
    /// The bytes are not valid.
    pub fn read(self, bytes: &[u8]) -> Result<Value, String> {
        let value = match self {
            Self::Json => serde_json::from_slice(bytes).ok(),
            Self::Yaml => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| serde_yaml::from_str(text).ok()),
            Self::Msgpack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                reader.set_max_depth(MAX_DEPTH);
                Value::deserialize(&mut reader).ok()
            }
            Self::Pickle => pickle::read(bytes),
        };
        value.ok_or_else(|| format!("not valid {self}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn written_values_can_be_read() {
        let value = json!({ "method": "ping", "arguments": {}, "destination": null, "nested": { "é": ["a", 1, true] } });
        for serializer in Serializer::ALL {
            let read = serializer.read(&serializer.write(&value));
            assert_eq!(read, Ok(value.clone()), "{serializer}");
        }
    }

    #[test]
    fn content_types_are_kombu_s() {
        for serializer in Serializer::ALL {
            let found = Serializer::from_content_type(serializer.content_type());
            assert_eq!(found, Some(serializer));
        }
        assert_eq!(Serializer::from_content_type("text/plain"), None);
    }

    #[test]
    fn nesting_is_bounded() {
        for (serializer, byte) in [(Serializer::Msgpack, 0x91), (Serializer::Json, b'[')] {
            assert!(serializer.read(&[byte; 4096]).is_err(), "{serializer}");
        }
    }

    #[test]
    fn yaml_aliases_do_not_multiply() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for (next, last) in ('b'..='i').zip('a'..='h') {
            text += &format!("{next}: &{next} [{}]\n", vec![format!("*{last}"); 9].join(", "));
        }
        assert!(Serializer::Yaml.read(text.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for serializer in Serializer::ALL {
                let _ = serializer.read(&bytes);
            }
        }
    }
}
