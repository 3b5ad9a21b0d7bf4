//! The options in a URL: those of libpq that are supported, and advice for the others.

use crate::config::place::{Invalid, Place};
use crate::config::suggest;

/// The supported options of libpq.
const OPTIONS: [&str; 13] = [
    "user",
    "password",
    "host",
    "port",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "target_session_attrs",
    "connect_timeout",
];
/// The unsupported options of libpq, with advice.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("hostaddr", "write the address as the host"),
    ("service", "write its settings into the URL"),
    ("servicefile", "write its settings into the URL"),
    ("passfile", "use password_file, a file with only the password"),
    ("channel_binding", "remove it"),
    ("require_auth", "remove it"),
    ("client_encoding", "remove it, the encoding is UTF-8"),
    ("fallback_application_name", "set application_name"),
    ("keepalives", "remove it, the timeout of the check applies"),
    ("keepalives_idle", "remove it, the timeout of the check applies"),
    (
        "keepalives_interval",
        "remove it, the timeout of the check applies",
    ),
    ("keepalives_count", "remove it, the timeout of the check applies"),
    ("tcp_user_timeout", "remove it, the timeout of the check applies"),
    ("replication", "remove it"),
    ("gssencmode", "remove it, there is no GSSAPI"),
    ("gsslib", "remove it, there is no GSSAPI"),
    ("gssdelegation", "remove it, there is no GSSAPI"),
    ("krbsrvname", "remove it, there is no GSSAPI"),
    ("requiressl", "set sslmode=require"),
    ("sslnegotiation", "remove it"),
    ("sslcompression", "remove it"),
    ("sslpassword", "use an sslkey without a passphrase"),
    ("sslcertmode", "remove it"),
    ("sslcrl", "remove it"),
    ("sslcrldir", "remove it"),
    ("sslsni", "remove it"),
    ("requirepeer", "remove it"),
    (
        "ssl_min_protocol_version",
        "remove it, the versions are TLS 1.2 and 1.3",
    ),
    (
        "ssl_max_protocol_version",
        "remove it, the versions are TLS 1.2 and 1.3",
    ),
    ("load_balance_hosts", "write one check per server"),
];

/// The options of a URL that were not taken yet.
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Converts the query of a URL, in which every option must be supported.
    ///
    /// # Errors
    /// Reported at `place`.
    pub fn resolve(query: Vec<(String, String)>, place: &Place<'_>) -> Result<Self, Invalid> {
        let mut result = Ok(());
        for (index, (key, _)) in query.iter().enumerate() {
            if let Some((_, advice)) = UNSUPPORTED.iter().find(|(name, _)| name == key) {
                result = Err(place.error(format_args!("the option {key} is not supported: {advice}")));
            } else if !OPTIONS.contains(&key.as_str()) {
                result = Err(place.error(suggest::unknown("option", key, OPTIONS.into_iter())));
            } else if query[..index].iter().any(|(before, _)| before == key) {
                result = Err(place.error(format_args!("duplicate option {key}: remove it")));
            }
        }
        result?;
        if query.iter().any(|(key, _)| key == "connect_timeout") {
            place.warn("connect_timeout is ignored: the timeout of the check applies");
        }
        Ok(Self(query))
    }

    /// Takes the value of an option. An empty value counts as not given, as in libpq.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(index).1).filter(|value| !value.is_empty())
    }

    /// Takes an option whose value is one of `words`. The first word is the default.
    ///
    /// # Errors
    /// An unknown word is reported at `place`.
    pub fn take_word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&'static str, T)],
        place: &Place<'_>,
    ) -> Result<T, Invalid> {
        let Some(value) = self.take(key) else {
            return Ok(words[0].1);
        };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(place.error(suggest::unknown(key, &value, words.iter().map(|(word, _)| *word)))),
        }
    }
}
