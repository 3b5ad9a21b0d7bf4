//! Reads a JSON document into CEL values, with a bound on their number: a document of 10 MB can hold five million.

use std::collections::HashMap;
use std::fmt;

use cel::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most values of a document.
pub const MAX_VALUES: u64 = 200_000;

/// A document, and how many values it holds.
#[derive(Debug)]
pub struct Document {
    /// The document.
    pub value: Value,
    /// The number of values in it.
    pub values: u64,
}

/// Reads a document. Numbers are doubles, as in blackbox_exporter's expressions; `body.count == 3` is true of 3.0.
///
/// # Errors
/// When it is no JSON, is nested more than 128 deep, or holds more than [`MAX_VALUES`] values.
pub fn read(text: &[u8]) -> Result<Document, serde_json::Error> {
    let mut values = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed(&mut values).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Document { value, values })
}

/// Counts the values.
struct Seed<'c>(&'c mut u64);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.0 += 1;
        match *self.0 > MAX_VALUES {
            true => Err(D::Error::custom(format_args!(
                "it holds more than {MAX_VALUES} values"
            ))),
            false => deserializer.deserialize_any(self),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // What JSON numbers are in the expressions that this follows.
impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Seed(self.0))? {
            values.push(value);
        }
        Ok(Value::from(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values: HashMap<String, Value> = HashMap::new();
        while let Some(key) = map.next_key()? {
            values.insert(key, map.next_value_seed(Seed(self.0))?);
        }
        Ok(Value::from(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::expression::Expression;

    #[test]
    fn documents_become_values() {
        let text = br#"{"a": [1, -2, 2.5, true, null, "x"], "b": {"c": 18446744073709551615}}"#;
        let document = read(text).unwrap();
        assert_eq!(document.values, 10);
        for truth in [
            "body.a[0] == 1",
            "body.a[1] == -2",
            "body.a[2] / 2.0 == 1.25",
            "body.a[4] == null",
            "body.b.c > 1",
        ] {
            let verdict = Expression::new(truth).unwrap().evaluate(document.value.clone());
            assert_eq!(verdict, Ok(true), "{truth}");
        }
    }

    #[test]
    fn what_is_too_much_or_no_json_is_an_error() {
        let many = format!("[{}0]", "0,".repeat(200_000));
        assert!(
            read(many.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("more than 200000 values")
        );
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
        for text in [&b""[..], b"{", b"{} x", b"\xff", b"<html>"] {
            assert!(read(text).is_err());
        }
    }
}
