//! A user, by name or by number.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::config::place::{Invalid, Place};
use crate::config::schema_scalars::TEXT_ONLY;

/// A user, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// By name, which is resolved at every run.
    Name(String),
    /// By number.
    Id(u32),
}

impl User {
    /// Validates the form of a name. An unknown name is not an error, since the user may be created later.
    pub(in crate::config) fn resolve(self, place: &Place<'_>) -> Result<Self, Invalid> {
        match self {
            Self::Name(name) if name.is_empty() || name.contains([':', '\n', '\0']) => {
                Err(place.error("not a user: write a name as in /etc/passwd, or a number"))
            }
            user => Ok(user),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => id.fmt(f),
        }
    }
}

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UserVisitor;

        impl Visitor<'_> for UserVisitor {
            type Value = User;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user's name or number")
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<User, E> {
                u32::try_from(id).map(User::Id).map_err(|_| {
                    E::custom(format_args!(
                        "{id} is not the number of a user: write at most {}",
                        u32::MAX
                    ))
                })
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<User, E> {
                u64::try_from(id)
                    .map_err(|_| {
                        E::custom(format_args!("{id} is not the number of a user: write at least 0"))
                    })
                    .and_then(|id| self.visit_u64(id))
            }

            /// A name of digits only is a number, as for chown(1).
            fn visit_str<E: Error>(self, text: &str) -> Result<User, E> {
                Ok(text
                    .parse()
                    .map_or_else(|_| User::Name(text.to_owned()), User::Id))
            }
        }

        deserializer.deserialize_any(UserVisitor)
    }
}

impl JsonSchema for User {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "User".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A user's name or number",
            "anyOf": [{ "type": "string", "minLength": 1, "$comment": TEXT_ONLY }, { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 }]
        })
    }
}
