//! Serde's access to the lists, mappings and enum variants of the tree.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::error::Error;
use super::tree::{Entry, Node, Value};
use crate::config::place::Step;

/// The items of a list that were not pruned.
pub struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> Items<'de> {
    /// Iterates over `items`.
    pub fn new(items: &'de [Node]) -> Self {
        Self(items.iter().enumerate())
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.0.find(|(_, item)| !matches!(item.value, Value::Pruned)) {
            None => Ok(None),
            Some((index, item)) => match seed.deserialize(item) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(error.under(Step::Index(index))),
            },
        }
    }
}

/// The entries of a mapping that were not pruned.
pub struct Entries<'de> {
    rest: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> Entries<'de> {
    /// Iterates over `entries`.
    pub fn new(entries: &'de [Entry]) -> Self {
        Self {
            rest: entries.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self
            .rest
            .find(|entry| !matches!(entry.value.value, Value::Pruned));
        match self.current {
            None => Ok(None),
            Some(entry) => {
                let key: StrDeserializer<'de, Error> = (&*entry.key).into_deserializer();
                match seed.deserialize(key) {
                    Ok(key) => Ok(Some(key)),
                    Err(error) => Err(error.at_key(&entry.key)),
                }
            }
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.current.take() {
            None => Err(Error::new("a value was requested before its key")),
            Some(entry) => seed
                .deserialize(&entry.value)
                .map_err(|error| error.under(Step::Key(entry.key.clone()))),
        }
    }
}

/// An enum variant: a name alone, or the only key of a mapping.
pub struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Node>,
}

impl<'de> Variant<'de> {
    /// The variant `name`, with its content if it is a mapping.
    pub fn new(name: &'de str, content: Option<&'de Node>) -> Self {
        Self { name, content }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name: StrDeserializer<'de, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<&'de Node, Error> {
        self.content
            .ok_or_else(|| Error::new("this value needs options: write it as a mapping"))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Error::new(
                "this value has no options: write it without a mapping",
            )),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_map(visitor)
    }
}
