//! Reads a JSON document into CEL values for expressions, or into serde_json values for JSON paths. Limits the number of
//! values, because a document of 10 MB can contain five million.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How many values a document may have.
pub const MAX_VALUES: u64 = 200_000;

/// A document and the number of its values.
#[derive(Debug)]
pub struct Document<V> {
    /// The document.
    pub value: V,
    /// The number of values in it.
    pub values: u64,
}

/// A type of values that can be built from a document.
pub trait Build: Sized {
    /// The entries of an object.
    type Entries: Default;
    /// `null`.
    const NULL: Self;
    /// A boolean.
    fn truth(value: bool) -> Self;
    /// A negative integer.
    fn negative(value: i64) -> Self;
    /// An integer from 0 on.
    fn natural(value: u64) -> Self;
    /// Another number.
    fn float(value: f64) -> Self;
    /// A string.
    fn text(value: &str) -> Self;
    /// An array.
    fn list(values: Vec<Self>) -> Self;
    /// Adds an entry to an object. Replaces an earlier entry with the same key.
    fn insert(map: &mut Self::Entries, key: String, value: Self);
    /// An object.
    fn map(map: Self::Entries) -> Self;
}

/// Numbers are doubles, as in blackbox_exporter's expressions: `body.count == 3` is true for 3.0.
#[allow(clippy::cast_precision_loss)] // As in blackbox_exporter.
impl Build for cel::Value {
    type Entries = HashMap<String, Self>;
    const NULL: Self = Self::Null;

    fn truth(value: bool) -> Self {
        Self::Bool(value)
    }

    fn negative(value: i64) -> Self {
        Self::Float(value as f64)
    }

    fn natural(value: u64) -> Self {
        Self::Float(value as f64)
    }

    fn float(value: f64) -> Self {
        Self::Float(value)
    }

    fn text(value: &str) -> Self {
        Self::from(value)
    }

    fn list(values: Vec<Self>) -> Self {
        Self::from(values)
    }

    fn insert(map: &mut Self::Entries, key: String, value: Self) {
        map.insert(key, value);
    }

    fn map(map: Self::Entries) -> Self {
        Self::from(map)
    }
}

impl Build for serde_json::Value {
    type Entries = serde_json::Map<String, Self>;
    const NULL: Self = Self::Null;

    fn truth(value: bool) -> Self {
        Self::Bool(value)
    }

    fn negative(value: i64) -> Self {
        Self::from(value)
    }

    fn natural(value: u64) -> Self {
        Self::from(value)
    }

    fn float(value: f64) -> Self {
        Self::from(value)
    }

    fn text(value: &str) -> Self {
        Self::from(value)
    }

    fn list(values: Vec<Self>) -> Self {
        Self::Array(values)
    }

    fn insert(map: &mut Self::Entries, key: String, value: Self) {
        map.insert(key, value);
    }

    fn map(map: Self::Entries) -> Self {
        Self::Object(map)
    }
}

/// Reads a document.
///
/// # Errors
/// If the text is not valid JSON, is nested more than 128 levels deep, or has more than [`MAX_VALUES`] values.
pub fn read<V: Build>(text: &[u8]) -> Result<Document<V>, serde_json::Error> {
    let mut values = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed::new(&mut values).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Document { value, values })
}

/// Builds values and counts them.
struct Seed<'c, V>(&'c mut u64, PhantomData<V>);

impl<'c, V> Seed<'c, V> {
    fn new(values: &'c mut u64) -> Self {
        Self(values, PhantomData)
    }
}

impl<'de, V: Build> DeserializeSeed<'de> for Seed<'_, V> {
    type Value = V;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V, D::Error> {
        *self.0 += 1;
        match *self.0 > MAX_VALUES {
            true => Err(D::Error::custom(format_args!(
                "it has more than {MAX_VALUES} values"
            ))),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl<'de, V: Build> Visitor<'de> for Seed<'_, V> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<V, E> {
        Ok(V::NULL)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V, E> {
        Ok(V::truth(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V, E> {
        Ok(V::negative(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V, E> {
        Ok(V::natural(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V, E> {
        Ok(V::float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V, E> {
        Ok(V::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<V, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Seed::new(self.0))? {
            values.push(value);
        }
        Ok(V::list(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V, A::Error> {
        let mut values = V::Entries::default();
        while let Some(key) = map.next_key()? {
            V::insert(&mut values, key, map.next_value_seed(Seed::new(self.0))?);
        }
        Ok(V::map(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::config::budget::Budget;
    use crate::config::expression::Expression;

    #[test]
    fn documents_become_values() {
        let text = br#"{"a": [1, -2, 2.5, true, null, "x"], "b": {"c": 18446744073709551615}}"#;
        let document = read::<cel::Value>(text).unwrap();
        assert_eq!(document.values, 10);
        for truth in [
            "body.a[0] == 1",
            "body.a[1] == -2",
            "body.a[2] / 2.0 == 1.25",
            "body.a[4] == null",
            "body.b.c > 1",
        ] {
            let budget = Arc::new(Budget::ample());
            let verdict = Expression::new(truth)
                .unwrap()
                .evaluate(document.value.clone(), &budget);
            assert_eq!(verdict, Ok(Ok(true)), "{truth}");
        }
    }

    #[test]
    fn serde_json_values_equal_the_document() {
        let text = br#"{"a": [1, -2, 2.5, true, null, "x"], "b": {"c": 18446744073709551615}, "b": {}}"#;
        let document = read::<serde_json::Value>(text).unwrap();
        assert_eq!(
            document.value,
            serde_json::from_slice::<serde_json::Value>(text).unwrap()
        );
        assert_eq!(document.values, 11);
    }

    #[test]
    fn large_and_invalid_documents_are_errors() {
        let many = format!("[{}0]", "0,".repeat(200_000));
        assert!(
            read::<cel::Value>(many.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("more than 200000 values")
        );
        assert!(read::<cel::Value>("[".repeat(100_000).as_bytes()).is_err());
        for text in [&b""[..], b"{", b"{} x", b"\xff", b"<html>"] {
            assert!(read::<cel::Value>(text).is_err());
        }
    }
}
