//! What the command `maintenance` and the exporter send each other over the control socket.

use serde::{Deserialize, Serialize};

/// A request of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Request {
    /// Starts a window.
    Start {
        /// The services.
        scope: Scope,
        /// The length in seconds.
        seconds: u64,
        /// Why, for people.
        reason: String,
    },
    /// Lists the windows.
    List,
    /// Ends windows.
    End {
        /// The id of a window, or the key of a service.
        window: String,
    },
    /// Makes a window longer.
    Extend {
        /// The id of a window, or the key of a service.
        window: String,
        /// The time to add, in seconds.
        seconds: u64,
    },
}

/// The services of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Keys of services.
    #[serde(default)]
    pub services: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// All services, even those that are added later.
    #[serde(default)]
    pub all: bool,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.all {
            return f.write_str("all services");
        }
        let groups = self.groups.iter().map(|group| format!("group {group}"));
        let parts: Vec<String> = groups.chain(self.services.iter().cloned()).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The response to every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The windows that the request changed, or all windows of a list.
    pub windows: Vec<WindowRow>,
    /// What the operator should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A window, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowRow {
    /// The id of a window that a command started, or the name of one in the configuration.
    pub id: String,
    /// Whether it holds.
    pub state: WindowState,
    /// The services.
    pub scope: Scope,
    /// The start: RFC 3339, UTC.
    pub start: String,
    /// The end.
    pub end: String,
    /// The user who started it. Absent for a window of the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// Why.
    pub reason: String,
}

/// Whether a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// It holds now.
    Active,
    /// It starts later.
    Planned,
    /// It has ended.
    Ended,
}
