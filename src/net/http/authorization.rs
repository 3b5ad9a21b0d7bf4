//! The value of an `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::config::http::Credentials;
use crate::config::secret::SecretError;
use crate::model::{Problem, Reason, UsedSecrets};
use crate::net::shortage;

/// Builds the value of an `Authorization` header from the current secrets.
///
/// # Errors
/// With the reason `auth` if a secret can't be read, or is not valid in a header.
pub fn authorization(credentials: &Credentials) -> Result<HeaderValue, Problem> {
    let unreadable = |error: SecretError| shortage::problem(Reason::Auth, &error, &error);
    let text = match credentials {
        Credentials::Basic { username, password } => {
            let username = username.read_name().map_err(unreadable)?;
            let password = password
                .as_ref()
                .map(|source| source.read_line())
                .transpose()
                .map_err(unreadable)?;
            let password = password.as_ref().map_or("", |password| password.expose());
            let pair = STANDARD.encode(format!("{}:{password}", username.unhidden()));
            UsedSecrets::record(&pair.as_str().into());
            format!("Basic {pair}")
        }
        Credentials::Scheme { scheme, credentials } => {
            format!(
                "{scheme} {}",
                credentials.read_line().map_err(unreadable)?.expose()
            )
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        let message =
            "the credentials contain characters that are not valid in a header, such as line breaks";
        Problem::new(Reason::Auth, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
