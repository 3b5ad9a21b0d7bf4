//! The lines that client and server send each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{heal, maintenance};

/// A request of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// The command `maintenance`.
    Maintenance(maintenance::Request),
    /// The command `heal`.
    Heal(heal::Request),
}

/// One line of a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Whether it is the last line.
    #[serde(default)]
    pub done: bool,
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ok: Option<Value>,
    /// Why the request failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}
