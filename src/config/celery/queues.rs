//! The queues whose lengths a celery check checks.

use std::collections::HashSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::config::place::{Invalid, Place};
use crate::config::schema_scalars::TEXT_ONLY;

/// The maximum number of queues of one check.
const MAX_QUEUES: usize = 100;

/// The longest name of a queue, in bytes, as of a short string of AMQP.
const MAX_NAME: usize = 255;

/// The options of a queue: its name, or a mapping.
#[derive(Clone, Debug)]
pub struct QueueOptions(NamedQueue);

/// The options of a queue as a mapping.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct NamedQueue {
    /// Name of the queue.
    name: Option<String>,
    /// Maximum number of messages. With more, the run has a warning.
    max_messages: Option<u64>,
}

/// A queue to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The name.
    pub name: String,
    /// The maximum number of messages.
    pub max_messages: Option<u64>,
}

/// Resolves the queues.
pub(super) fn resolve(written: Vec<QueueOptions>, place: &Place<'_>) -> Result<Vec<QueueSettings>, Invalid> {
    if written.len() > MAX_QUEUES {
        return Err(place.error(format_args!(
            "{} queues, but a check can have at most {MAX_QUEUES}: remove some",
            written.len()
        )));
    }
    let mut names = HashSet::new();
    let mut queues = Ok(Vec::with_capacity(written.len()));
    for (index, QueueOptions(queue)) in written.into_iter().enumerate() {
        let place = place.index(index);
        let name = queue.name.unwrap_or_default();
        let wrong = if name.is_empty() || name.len() > MAX_NAME {
            Some(format!(
                "the name of the queue has {} bytes: write 1 to {MAX_NAME}, such as name: celery",
                name.len()
            ))
        } else if name.chars().any(char::is_control) {
            Some("the name of the queue contains control characters: remove them".to_owned())
        } else if !names.insert(name.clone()) {
            Some(format!("duplicate queue {name}: remove it"))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            queues = Err(place.error(wrong));
        }
        if let Ok(queues) = &mut queues {
            queues.push(QueueSettings {
                name,
                max_messages: queue.max_messages,
            });
        }
    }
    queues
}

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for QueueOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QueueVisitor;

        impl<'de> Visitor<'de> for QueueVisitor {
            type Value = QueueOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a queue, or a mapping with name and max_messages")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<QueueOptions, E> {
                Ok(QueueOptions(NamedQueue {
                    name: Some(text.to_owned()),
                    max_messages: None,
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<QueueOptions, A::Error> {
                NamedQueue::deserialize(MapAccessDeserializer::new(map)).map(QueueOptions)
            }
        }

        deserializer.deserialize_any(QueueVisitor)
    }
}

impl JsonSchema for QueueOptions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CeleryQueue".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mapping = NamedQueue::json_schema(generator);
        schemars::json_schema!({
            "description": "A queue: its name, or a mapping with name and max_messages",
            "anyOf": [{"type": "string", "$comment": TEXT_ONLY}, mapping]
        })
    }
}
