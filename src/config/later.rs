//! What is known to come, or to belong to the systems replaced, but is not supported by this version: told by name
//! instead of as a slip of the pen.

use crate::model::CheckKind;

/// Kinds of check that this version does not have.
const KINDS: &[&str] = &[
    "minio",
    "dns",
    "icmp",
    "grpc",
    "unix",
    "port",
    "python",
    "node",
    "api_key",
    "resources",
];

/// Keys that this version does not have, with what to do.
const KEYS: [(&str, &str); 5] = [
    (
        "monitor",
        "set interval, recheck_interval and failures_before_down under defaults",
    ),
    ("logging", "use the flags --log.level and --log.format"),
    ("heal", "restarting units is not possible yet: remove it"),
    ("auto_restart", "restarting units is not possible yet: remove it"),
    (
        "maintenance",
        "maintenance windows do not exist yet: silence alerts in Alertmanager",
    ),
];

/// The message for a kind of a later version.
pub fn kind(word: &str) -> Option<String> {
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
