//! Deserializes a tree with serde.

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::access::{Entries, Items, Variant};
use super::error::Error;
use super::scalar::{boolean, integer, number, quoted_integer, quoted_number, yaml11_boolean};
use super::tree::{Node, Value};

/// Deserializes `node` as a `T`.
///
/// # Errors
/// The first mismatch, with its path from `node`.
pub fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, Error> {
    T::deserialize(node)
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let what = format_args!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX);
            let value = match &self.value {
                Value::Plain(text) => integer(text),
                Value::Text(text) => quoted_integer(text),
                _ => None,
            };
            match value {
                Some(value) => match <$type>::try_from(value) {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Error::new(format_args!("expected {what}, found {value}"))),
                },
                None => Err(Error::expected(what, self)),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            _ if self.is_null() => visitor.visit_unit(),
            Value::Plain(text) => match (boolean(text), integer(text).map(i64::try_from), number(text)) {
                (Some(value), _, _) => visitor.visit_bool(value),
                (None, Some(Ok(value)), _) => match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_i64(value),
                },
                (None, _, Some(value)) => visitor.visit_f64(value),
                (None, _, None) => visitor.visit_borrowed_str(text),
            },
            Value::Text(_) if self.is_binary() => Err(Error::expected("a text", self)),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items::new(items)),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries)),
            Value::Pruned => visitor.visit_unit(),
        }
    }

    integers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = match &self.value {
            Value::Plain(text) => number(text),
            Value::Text(text) => quoted_number(text),
            _ => None,
        };
        match value {
            Some(value) if value.is_finite() => visitor.visit_f64(value),
            _ => Err(Error::expected("a number", self)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => match yaml11_boolean(text) {
                Some(value) => visitor.visit_bool(value),
                None => Err(Error::expected("true or false", self)),
            },
            _ => Err(Error::expected("true or false", self)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            _ if self.is_null() => Err(Error::new(
                "expected a text, found nothing: write \"\" for an empty text",
            )),
            Value::Plain(text) | Value::Text(text) if !self.is_binary() => visitor.visit_borrowed_str(text),
            _ => Err(Error::expected("a text", self)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.bytes {
            Some(bytes) => visitor.visit_borrowed_bytes(&bytes.bytes),
            None => self.deserialize_str(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() || matches!(self.value, Value::Pruned) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() {
            visitor.visit_unit()
        } else {
            Err(Error::expected("nothing", self))
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::List(items) => visitor.visit_seq(Items::new(items)),
            _ => Err(Error::expected(
                "a list ([a, b], or lines that begin with -)",
                self,
            )),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Map(entries) => visitor.visit_map(Entries::new(entries)),
            _ => Err(Error::expected("a mapping (key: value)", self)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) if !self.is_null() => {
                visitor.visit_enum(Variant::new(text, None))
            }
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant::new(&entries[0].key, Some(&entries[0].value)))
            }
            _ => Err(Error::expected(
                format_args!("one of {}", variants.join(", ")),
                self,
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 }
}
