//! Lenient types for `package.json`. A package that npm installed may have fields of the wrong type. npm ignores such a field, so one
//! of them must not make the whole file unreadable.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A type that can be read from a string, a boolean, a list or a mapping, or ignores them.
pub trait Loose: Default {
    /// From a string.
    fn from_text(_text: String) -> Self {
        Self::default()
    }

    /// From a boolean.
    fn from_bool(_value: bool) -> Self {
        Self::default()
    }

    /// From the elements of a list.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// From the entries of a mapping.
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Deserializes a [`Loose`] type from any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lenient<T>(pub T);

impl<'de, T: Loose> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData)).map(Self)
    }
}

struct AnyValue<T>(PhantomData<T>);

impl<'de, T: Loose> Visitor<'de> for AnyValue<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::from_bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_none<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

impl Loose for Option<String> {
    fn from_text(text: String) -> Self {
        Some(text)
    }
}

/// `true`, or not.
impl Loose for bool {
    fn from_bool(value: bool) -> Self {
        value
    }
}

/// The strings of a list.
impl Loose for Vec<String> {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut texts = Self::new();
        while let Some(Lenient(text)) = list.next_element::<Lenient<Option<String>>>()? {
            texts.extend(text);
        }
        Ok(texts)
    }
}

/// The entries of a mapping. Values of the wrong type are defaults.
impl<T: Loose> Loose for BTreeMap<String, T> {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut entries = Self::new();
        while let Some((key, Lenient(value))) = map.next_entry::<String, Lenient<T>>()? {
            entries.insert(key, value);
        }
        Ok(entries)
    }
}
