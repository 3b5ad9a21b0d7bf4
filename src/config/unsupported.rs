//! Known names that this version does not support: other names of a kind, planned features, and features of other monitors.
//! They get a message of their own instead of "unknown key".

use crate::model::CheckKind;

/// Kinds of check that are not supported, with advice.
const KINDS: [(&str, &str); 1] = [(
    "resources",
    "systemd and docker checks measure what their unit or container uses: set memory_below, memory_share_below, cpu_below \
     or tasks_below in such a check, or the limits of a host check",
)];

/// Other names of kinds.
const ALIASES: &[(&str, CheckKind)] = &[
    ("minio", CheckKind::S3),
    ("postgresql", CheckKind::Postgres),
    ("pgsql", CheckKind::Postgres),
    ("valkey", CheckKind::Redis),
    ("amqp", CheckKind::Rabbitmq),
    ("container", CheckKind::Docker),
    ("podman", CheckKind::Docker),
    ("https", CheckKind::Http),
    ("unit", CheckKind::Systemd),
    ("api_key", CheckKind::Provider),
    ("web", CheckKind::Http),
    ("website", CheckKind::Http),
    ("keyword", CheckKind::Http),
    ("json-query", CheckKind::Http),
    ("ping", CheckKind::Icmp),
    ("socket", CheckKind::Tcp),
    ("service", CheckKind::Systemd),
    ("pg", CheckKind::Postgres),
    ("amqps", CheckKind::Rabbitmq),
    ("sentinel", CheckKind::Redis),
    ("disk", CheckKind::Host),
    ("filesystem", CheckKind::Host),
    ("cpu", CheckKind::Host),
    ("memory", CheckKind::Host),
    ("load", CheckKind::Host),
    ("swap", CheckKind::Host),
    ("system", CheckKind::Host),
    ("llm", CheckKind::Provider),
    ("openai", CheckKind::Provider),
    ("ollama", CheckKind::Provider),
    ("pip", CheckKind::Python),
    ("npm", CheckKind::Node),
];

/// Keys that are not supported, with advice.
const KEYS: [(&str, &str); 3] = [
    (
        "heal",
        "healing is a setting of services, tiers and defaults: move it there",
    ),
    ("auto_restart", "set heal: { mode: act }, see docs/HEALING.md"),
    (
        "maintenance",
        "list the windows under maintenance at the top level, with services: [...]",
    ),
];

/// The message for another name of a kind or an unsupported kind.
pub fn kind(word: &str) -> Option<String> {
    if let Some((_, kind)) = ALIASES.iter().find(|(alias, _)| *alias == word) {
        return Some(format!("unknown kind {word}: write kind: {kind}"));
    }
    let (_, advice) = KINDS.iter().find(|(kind, _)| *kind == word)?;
    Some(format!("the kind {word} is not supported: {advice}"))
}

/// The message for an unsupported key.
pub fn key(word: &str) -> Option<String> {
    let (_, advice) = KEYS.iter().find(|(key, _)| *key == word)?;
    Some(format!("not supported: {advice}"))
}
