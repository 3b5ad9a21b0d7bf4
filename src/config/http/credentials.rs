//! The credentials of an http check: user info in the URL, `basic_auth`, `authorization` or `bearer_token`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::target::UserInfo;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};

/// A user name with a password.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuthOptions {
    /// User name.
    pub username: Option<String>,
    /// File with the user name.
    pub username_file: Option<PathBuf>,
    /// Environment variable with the user name.
    pub username_env: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    pub password_env: Option<String>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for BasicAuthOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuthOptions").finish_non_exhaustive()
    }
}

/// An `Authorization` header.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationOptions {
    /// Scheme. Default: Bearer.
    #[serde(rename = "type")]
    pub scheme: Option<String>,
    /// Credentials after the scheme.
    pub credentials: Option<String>,
    /// File with the credentials.
    pub credentials_file: Option<PathBuf>,
    /// Environment variable with the credentials.
    pub credentials_env: Option<String>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for AuthorizationOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationOptions").finish_non_exhaustive()
    }
}

/// The credentials of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Basic authentication (RFC 7617).
    Basic {
        /// The user name.
        username: SecretSource,
        /// The password; `None` for an empty one.
        password: Option<SecretSource>,
    },
    /// Another scheme, such as Bearer (RFC 6750).
    Scheme {
        /// The scheme's name.
        scheme: String,
        /// The credentials.
        credentials: SecretSource,
    },
}

impl Credentials {
    /// Converts the user info of a URL.
    pub(super) fn from_user_info((name, password): UserInfo) -> Self {
        Self::Basic {
            username: SecretSource::Inline(Secret::new(name)),
            password: password.map(|password| SecretSource::Inline(Secret::new(password))),
        }
    }
}

impl BasicAuthOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<Credentials, Invalid> {
        let username = SecretSource::from_keys(
            place,
            "username",
            self.username,
            self.username_file,
            self.username_env,
        );
        let password = SecretSource::from_keys(
            place,
            "password",
            self.password,
            self.password_file,
            self.password_env,
        );
        let Some(username) = username? else {
            return Err(place.error("username is missing: write username, username_file or username_env"));
        };
        let colon = username
            .read_name()
            .is_ok_and(|name| name.unhidden().contains(':'));
        if colon {
            return Err(
                place.error("the user name contains a colon, which basic authentication does not allow (RFC 7617, section 2)")
            );
        }
        Ok(Credentials::Basic {
            username,
            password: password?,
        })
    }
}

impl AuthorizationOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<Credentials, Invalid> {
        let scheme = self.scheme.filter(|scheme| !scheme.is_empty());
        let scheme = scheme.unwrap_or_else(|| "Bearer".to_owned());
        let credentials = SecretSource::from_keys(
            place,
            "credentials",
            self.credentials,
            self.credentials_file,
            self.credentials_env,
        )?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(place
                .field("type")
                .error("basic is not supported here: use basic_auth"));
        }
        if !scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(place
                .field("type")
                .error("not a scheme: write one word, such as Bearer"));
        }
        match credentials {
            Some(credentials) => Ok(Credentials::Scheme { scheme, credentials }),
            None => Err(place
                .error("credentials are missing: write credentials, credentials_file or credentials_env")),
        }
    }
}
