//! A service that was discovered: its checks as YAML, and what a person should know about it.

use super::texts::{comment, line};

/// The longest name, in bytes; at most as many characters as a configuration allows.
const MAX_NAME: usize = 100;

/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 200;

/// The groups, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Applications that serve requests.
    Applications,
    /// Web servers and proxies.
    Web,
    /// Programs that work on jobs.
    Workers,
    /// Databases, caches and stores.
    Databases,
    /// Brokers of messages.
    Queues,
    /// Monitoring.
    Monitoring,
    /// Containers of an unknown purpose.
    Containers,
    /// Services of the machine, such as SSH and cron.
    System,
    /// Everything else.
    Other,
}

impl Group {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Web => "web",
            Self::Workers => "workers",
            Self::Databases => "databases",
            Self::Queues => "queues",
            Self::Monitoring => "monitoring",
            Self::Containers => "containers",
            Self::System => "system",
            Self::Other => "other",
        }
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What makes it the same service in the next round: its unit, its container, its program or its port.
    pub identity: String,
    /// The name, of which the key is made.
    pub name: String,
    /// The group.
    pub group: Group,
    /// The description; may be empty.
    pub description: String,
    /// The checks, as YAML mappings.
    pub checks: Vec<String>,
    /// Comments.
    pub notes: Vec<String>,
}

impl Service {
    /// A service without checks.
    pub fn new(identity: String, name: &str, group: Group) -> Self {
        let name = line(name, MAX_NAME);
        Self {
            identity,
            name: if name.is_empty() {
                "unnamed".to_owned()
            } else {
                name
            },
            group,
            description: String::new(),
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sets the description.
    pub fn describe(&mut self, text: &str) {
        self.description = line(text, MAX_DESCRIPTION);
    }

    /// Adds a check, unless it is there.
    pub fn check(&mut self, yaml: String) {
        if !self.checks.contains(&yaml) {
            self.checks.push(yaml);
        }
    }

    /// Adds a comment, unless it is there.
    pub fn note(&mut self, text: &str) {
        let text = comment(text);
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}
