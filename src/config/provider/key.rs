//! The API key: written in the file, or the source that every run reads it from.

use std::ffi::OsString;
use std::path::PathBuf;

use super::api::ProviderApi;
use crate::config::place::{Invalid, Place};
use crate::config::regular_file::ReadError;
use crate::config::secret::SecretSource;

/// The variable with the directory of systemd's credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// That directory for the shipped unit, while it runs. Commands in a shell do not have the variable.
const UNIT_CREDENTIALS: &str = "/run/credentials/upkeep_exporter.service";

/// The shortest key of which the last characters may be shown. They are then at most a fifth of the key.
const MIN_SHOWN_KEY: usize = 20;
/// The number of last characters that are shown.
const SHOWN_CHARS: usize = 4;

/// The keys that set the API key.
pub struct KeyOptions {
    pub inline: Option<String>,
    pub file: Option<PathBuf>,
    pub env: Option<String>,
    pub credential: Option<String>,
}

impl KeyOptions {
    /// Resolves the source. Only a self-hosted server may have none.
    pub fn resolve(self, api: ProviderApi, place: &Place<'_>) -> Result<Option<SecretSource>, Invalid> {
        let has_other = self.inline.is_some() || self.file.is_some() || self.env.is_some();
        let source = match self.credential {
            Some(_) if has_other => {
                return Err(place.error(
                    "give one of api_key, api_key_file, api_key_env and api_key_credential, not several",
                ));
            }
            Some(name) => {
                let directory = std::env::var_os(CREDENTIALS_DIRECTORY);
                Some(credential(&name, directory, &place.field("api_key_credential"))?)
            }
            None => SecretSource::from_keys(place, "api_key", self.inline, self.file, self.env)?,
        };
        if source.is_none() && !api.is_self_hosted() {
            return Err(place.error(
                "the API key is missing: add api_key_file, api_key_credential, api_key_env or api_key",
            ));
        }
        Ok(source)
    }
}

/// The file of a credential that systemd passes to the exporter. If it can't be read now, this is a warning: commands in a shell and the
/// install script read the configuration too, and do not get credentials.
fn credential(name: &str, directory: Option<OsString>, place: &Place<'_>) -> Result<SecretSource, Invalid> {
    // systemd.exec(5): the name must be a valid file name.
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(place.error("not the name of a credential: write the name in LoadCredential=NAME:PATH"));
    }
    let directory = directory.unwrap_or_else(|| UNIT_CREDENTIALS.into());
    let source = SecretSource::File(PathBuf::from(directory).join(name));
    match source.read_line() {
        Ok(_) => {}
        Err(error) if error.is_unreadable() => place.warn(format_args!(
            "{error}; every run fails until systemd passes it: add LoadCredential={name}:PATH to the unit of the exporter"
        )),
        Err(error) => return Err(place.error(error)),
    }
    Ok(source)
}

/// The end of a key, so that a person can tell keys apart. Shows nothing of a short key.
pub(super) fn shown(source: &SecretSource) -> String {
    let Ok(key) = source.read_line() else {
        return "unreadable".to_owned();
    };
    let characters: Vec<char> = key.unhidden().chars().collect();
    match characters.len().checked_sub(SHOWN_CHARS) {
        Some(start) if characters.len() >= MIN_SHOWN_KEY => {
            format!("\u{2026}{}", String::from_iter(&characters[start..]))
        }
        _ => "\u{2026}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::config::secret::Secret;

    #[test]
    fn a_credential_that_systemd_does_not_pass_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("good"), "sk-1\n").unwrap();
        std::fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
        let resolve = |name: &str, directory: Option<OsString>| {
            let findings = RefCell::default();
            let source = credential(name, directory, &Place::root(&findings)).ok();
            let found: Vec<_> = findings
                .take()
                .into_iter()
                .map(|f| (f.is_error, f.message))
                .collect();
            (source, found)
        };
        let passed = |name| resolve(name, Some(directory.path().into()));

        let source = SecretSource::File(directory.path().join("good"));
        assert_eq!(passed("good"), (Some(source), vec![]));
        let (source, found) = passed("lost");
        assert_eq!(source, Some(SecretSource::File(directory.path().join("lost"))));
        assert!(
            !found[0].0
                && found[0].1.ends_with(
                    "No such file or directory (os error 2); every run fails until systemd passes it: add \
             LoadCredential=lost:PATH to the unit of the exporter"
                ),
            "{found:?}"
        );
        // In a shell, there is no directory.
        let (source, found) = resolve("lost", None);
        assert_eq!(
            source,
            Some(SecretSource::File(PathBuf::from(UNIT_CREDENTIALS).join("lost")))
        );
        assert_eq!((found.len(), found[0].0), (1, false), "{found:?}");
        let (source, found) = passed("binary");
        assert_eq!((source, found[0].0), (None, true), "{found:?}");
    }

    #[test]
    fn at_most_the_last_four_characters_of_a_key_are_shown() {
        let of = |key: &str| shown(&SecretSource::Inline(Secret::new(key)));
        assert_eq!(of("sk-proj-0123456789abcdef"), "\u{2026}cdef");
        assert_eq!(of("sk-0123456789abcdef"), "\u{2026}");
        assert_eq!(of(""), "\u{2026}");
        assert_eq!(
            shown(&SecretSource::File("/nonexistent/key".into())),
            "unreadable"
        );
    }
}
