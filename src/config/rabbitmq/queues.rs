//! The option `queues` of rabbitmq checks.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::place::{Invalid, Place};

/// The longest name in the protocol, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// The maximum number of queues of one check: each one needs a request per run.
const MAX_QUEUES: usize = 100;

/// The options of a queue.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueOptions {
    /// Name of the queue.
    pub name: Option<String>,
    /// Maximum number of ready messages. With more, the run has a warning. Default: no limit.
    pub max_messages: Option<u32>,
    /// Minimum number of consumers. With fewer, the run has a warning. Default: no limit.
    pub min_consumers: Option<u32>,
}

/// A queue to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The name.
    pub name: String,
    /// The maximum number of ready messages.
    pub max_messages: Option<u32>,
    /// The minimum number of consumers.
    pub min_consumers: Option<u32>,
}

/// Resolves the list at `place`.
pub fn resolve(queues: Vec<QueueOptions>, place: &Place<'_>) -> Result<Vec<QueueSettings>, Invalid> {
    if queues.len() > MAX_QUEUES {
        return Err(place.error(format_args!(
            "{} queues, but a check can have at most {MAX_QUEUES}: remove some",
            queues.len()
        )));
    }
    let mut names = HashSet::new();
    let mut resolved = Vec::with_capacity(queues.len());
    let mut result = Ok(());
    for (index, queue) in queues.into_iter().enumerate() {
        let place = place.index(index);
        let Some(name) = queue.name else {
            result = Err(place.error("name is missing: write the name of a queue, such as name: jobs"));
            continue;
        };
        let field = place.field("name");
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            result = Err(field.error(format_args!(
                "not the name of a queue: write 1 to {MAX_NAME_BYTES} bytes without control characters"
            )));
        } else if !names.insert(name.clone()) {
            result = Err(field.error(format_args!("duplicate queue {name}: remove it")));
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
