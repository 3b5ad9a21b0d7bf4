//! What bears another name here, is to come, or belongs to the systems replaced, but is not supported by this version: told by
//! name instead of as a slip of the pen.

use crate::model::CheckKind;

/// Kinds of check that this version does not have.
const KINDS: &[&str] = &["port", "python", "node", "api_key", "resources"];

/// Other names of kinds, with the kind.
const ALIASES: [(&str, CheckKind); 9] = [
    ("minio", CheckKind::S3),
    ("postgresql", CheckKind::Postgres),
    ("pgsql", CheckKind::Postgres),
    ("valkey", CheckKind::Redis),
    ("amqp", CheckKind::Rabbitmq),
    ("container", CheckKind::Docker),
    ("podman", CheckKind::Docker),
    ("https", CheckKind::Http),
    ("unit", CheckKind::Systemd),
];

/// Keys that this version does not have, with what to do.
const KEYS: [(&str, &str); 4] = [
    ("enable_http3", "HTTP/3 is not spoken: leave it out"),
    ("heal", "restarting units is not possible yet: remove it"),
    ("auto_restart", "restarting units is not possible yet: remove it"),
    (
        "maintenance",
        "maintenance windows do not exist yet: silence alerts in Alertmanager",
    ),
];

/// The message for another name of a kind, and for a kind of a later version.
pub fn kind(word: &str) -> Option<String> {
    if let Some((_, kind)) = ALIASES.iter().find(|(alias, _)| *alias == word) {
        return Some(format!("there is no kind {word}: write kind: {kind}"));
    }
    KINDS.contains(&word).then(|| {
        let known = CheckKind::ALL.map(CheckKind::as_str);
        format!(
            "the kind {word} is not supported by this version: it has {}",
            known.join(", ")
        )
    })
}

/// The message for a key of a later version.
pub fn key(word: &str) -> Option<String> {
    let (_, advice) = KEYS.iter().find(|(key, _)| *key == word)?;
    Some(format!("not supported by this version: {advice}"))
}
