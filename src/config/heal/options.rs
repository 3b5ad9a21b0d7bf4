//! The options of healing, as they are written.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::settings::HealMode;
use crate::config::duration::DurationText;
use crate::config::schema_scalars::ANY_SCALAR;

/// The words of `reasons`, for the JSON Schema. A test compares them with what is accepted.
const REASONS: [&str; 10] = [
    "refused",
    "timeout",
    "closed",
    "protocol",
    "state",
    "missing",
    "limit",
    "status",
    "assertion",
    "unreachable",
];

/// How a failed service is healed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealOptions {
    /// off: do nothing; dry-run: only record what would be done; act: do it. Built in: off.
    #[schemars(schema_with = "mode_schema")]
    pub mode: Option<String>,
    /// Consecutive failed runs of a critical check that cause an action. Built in: 2.
    #[schemars(range(min = 1, max = 10))]
    pub after: Option<u32>,
    /// restart or start the unit or container, or run a command: a list of an absolute path and its arguments, which no shell
    /// interprets. Built in: restart.
    #[schemars(schema_with = "action_schema")]
    pub action: Option<ActionOption>,
    /// The unit to act on. Default: the unit of the service's systemd check. Only in services.
    #[schemars(length(min = 1))]
    pub unit: Option<String>,
    /// The container to act on. Default: the container of the service's docker check. Only in services.
    #[schemars(regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"), length(max = 255), extend("$comment" = ANY_SCALAR))]
    pub container: Option<String>,
    /// Reasons for failures that cause an action. Built in: refused, timeout, closed, protocol, state, missing and limit; status,
    /// assertion and unreachable are allowed too.
    #[schemars(schema_with = "reasons_schema")]
    pub reasons: Option<Vec<String>>,
    /// Allow actions on a service that stores data: a database, a broker, a cache. Default: false. Only in services.
    pub stateful: Option<bool>,
    /// Maximum number of actions within an hour.
    pub budget: Option<BudgetOptions>,
    /// Minimum time between two actions. It doubles with every action, and halves for every 10 minutes of health.
    pub backoff: Option<BackoffOptions>,
    /// How long after its start the unit or container is left alone. Built in: 45s.
    pub start_grace: Option<DurationText>,
}

/// The maximum number of actions within an hour.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetOptions {
    /// On a service. Built in: 5.
    #[schemars(range(min = 1, max = 60))]
    pub per_service: Option<u32>,
    /// On all services together. Built in: 20. Only in defaults.
    #[schemars(range(min = 1, max = 1000))]
    pub total: Option<u32>,
}

/// The minimum time between two actions.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackoffOptions {
    /// After the first action. Built in: 30s.
    pub min: Option<DurationText>,
    /// The maximum. Built in: 15m.
    pub max: Option<DurationText>,
}

/// An action: a word, or a command.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionOption {
    /// Restart the unit or container.
    Restart,
    /// Start the unit or container.
    Start,
    /// Run a command.
    Command(Vec<String>),
}

fn reasons_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["array", "null"], "minItems": 1, "items": { "type": "string", "enum": REASONS } })
}

fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = HealMode::ALL.iter().map(|mode| mode.as_str()).collect();
    // Editors that follow YAML 1.1 read off as false.
    json_schema!({ "anyOf": [{ "type": "string", "enum": words }, { "type": ["null", "boolean"], "enum": [null, false] }] })
}

fn action_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": ["string", "null"], "enum": ["restart", "start", null] },
            {
                "type": "object",
                "required": ["command"],
                "properties": { "command": { "type": "array", "minItems": 1, "items": [{ "type": "string", "pattern": "^/" }], "additionalItems": { "type": "string" } } },
                "additionalProperties": false
            }
        ]
    })
}
