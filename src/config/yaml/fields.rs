//! The names of an option type's keys. They come from its `Deserialize` implementation, so they need no second list.

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

/// The keys of `T`, a struct that derives `Deserialize` and has no flattened fields. Empty for other types.
pub fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The collector stores the names and returns an error instead of a value.
    let _ = T::deserialize(NameCollector(&mut names)).is_ok();
    names
}

struct NameCollector<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for NameCollector<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Error::custom("only field names are collected"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_type_with_their_renames() {
        #[derive(serde::Deserialize)]
        #[allow(dead_code)]
        struct Sample {
            plain: Option<u8>,
            #[serde(rename = "match")]
            matches: Option<Vec<String>>,
        }
        assert_eq!(fields::<Sample>(), ["plain", "match"]);
        assert_eq!(fields::<String>(), [""; 0]);
    }
}
