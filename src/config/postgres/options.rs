//! The options in a URL: which of libpq's there are, and which of them are understood.

use crate::config::place::{Invalid, Place};
use crate::config::suggest;

/// libpq's options that are understood.
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
/// libpq's others, with what to do about them.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("hostaddr", "write the address as the host"),
    ("service", "write its settings into the URL"),
    ("servicefile", "write its settings into the URL"),
    (
        "passfile",
        "set password_file, a file with nothing but the password",
    ),
    ("channel_binding", "remove it"),
    ("require_auth", "remove it"),
    ("client_encoding", "remove it, UTF-8 is used"),
    ("fallback_application_name", "set application_name"),
    ("keepalives", "remove it, the check's timeout bounds each run"),
    (
        "keepalives_idle",
        "remove it, the check's timeout bounds each run",
    ),
    (
        "keepalives_interval",
        "remove it, the check's timeout bounds each run",
    ),
    (
        "keepalives_count",
        "remove it, the check's timeout bounds each run",
    ),
    (
        "tcp_user_timeout",
        "remove it, the check's timeout bounds each run",
    ),
    ("replication", "remove it"),
    ("gssencmode", "remove it, GSSAPI is not used"),
    ("gsslib", "remove it, GSSAPI is not used"),
    ("gssdelegation", "remove it, GSSAPI is not used"),
    ("krbsrvname", "remove it, GSSAPI is not used"),
    ("requiressl", "set sslmode=require"),
    ("sslnegotiation", "remove it"),
    ("sslcompression", "remove it"),
    ("sslpassword", "give an sslkey without a passphrase"),
    ("sslcertmode", "remove it"),
    ("sslcrl", "remove it"),
    ("sslcrldir", "remove it"),
    ("sslsni", "remove it"),
    ("requirepeer", "remove it"),
    ("ssl_min_protocol_version", "remove it, TLS 1.2 and 1.3 are used"),
    ("ssl_max_protocol_version", "remove it, TLS 1.2 and 1.3 are used"),
    ("load_balance_hosts", "write one check for each server"),
];

/// The options of a URL that are not taken yet.
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Takes a URL's query, in which every option must be one that is understood.
    ///
    /// # Errors
    /// Each that is not is reported at `place`.
    pub fn read(query: Vec<(String, String)>, place: &Place<'_>) -> Result<Self, Invalid> {
        let mut result = Ok(());
        for (index, (key, _)) in query.iter().enumerate() {
            if let Some((_, advice)) = UNSUPPORTED.iter().find(|(name, _)| name == key) {
                result = Err(place.error(format_args!("libpq's option {key} is not supported: {advice}")));
            } else if !OPTIONS.contains(&key.as_str()) {
                result = Err(place.error(suggest::unknown("option in the URL:", key, OPTIONS.into_iter())));
            } else if query[..index].iter().any(|(before, _)| before == key) {
                result = Err(place.error(format_args!("the option {key} is there twice: leave one")));
            }
        }
        result?;
        if query.iter().any(|(key, _)| key == "connect_timeout") {
            place.remark("connect_timeout is not used: the check's timeout bounds the whole run");
        }
        Ok(Self(query))
    }

    /// The value of an option; an empty one is as if it were not there, as in libpq.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(index).1).filter(|value| !value.is_empty())
    }

    /// The meaning of an option's word; the first one's where it is not there.
    ///
    /// # Errors
    /// An unknown word is reported at `place`.
    pub fn word<T: Copy>(
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
