//! The queues that a rabbitmq check watches by name.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::MAX_NAME_BYTES;
use crate::config::place::{Invalid, Place};

/// The most queues of one check: each costs a question in each run.
const MAX_QUEUES: usize = 100;

/// A queue, as written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueOptions {
    /// Its name.
    pub name: Option<String>,
    /// More messages ready than this are a warning (default: no limit).
    pub max_messages: Option<u32>,
    /// Fewer consumers than this are a warning (default: any number is enough).
    pub min_consumers: Option<u32>,
}

/// A queue, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Its name.
    pub name: String,
    /// The most messages ready that are not too many.
    pub max_messages: Option<u32>,
    /// The fewest consumers that are enough.
    pub min_consumers: Option<u32>,
}

/// Resolves the list at `place`.
pub fn resolve(queues: Vec<QueueOptions>, place: &Place<'_>) -> Result<Vec<QueueSettings>, Invalid> {
    if queues.len() > MAX_QUEUES {
        return Err(place.error(format_args!(
            "{} queues are too many: a check has at most {MAX_QUEUES}",
            queues.len()
        )));
    }
    let mut names = HashSet::new();
    let mut resolved = Vec::with_capacity(queues.len());
    let mut result = Ok(());
    for (index, queue) in queues.into_iter().enumerate() {
        let place = place.index(index);
        let Some(name) = queue.name else {
            result = Err(place.error("name is missing: write the queue's name, such as name: jobs"));
            continue;
        };
        let field = place.field("name");
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            result = Err(field.error(format_args!(
                "a queue's name has 1 to {MAX_NAME_BYTES} bytes and no control characters"
            )));
        } else if !names.insert(name.clone()) {
            result = Err(field.error(format_args!("{name} is in this list already")));
        } else {
            resolved.push(QueueSettings {
                name,
                max_messages: queue.max_messages,
                min_consumers: queue.min_consumers,
            });
        }
    }
    result.map(|()| resolved)
}
