//! The login to a broker: user and password, or the client certificate.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;

/// The default user of RabbitMQ's clients.
const DEFAULT_USER: &str = "guest";

/// The mechanism of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMechanism {
    /// User and password.
    #[default]
    Plain,
    /// The client certificate.
    External,
}

/// A login.
#[derive(Clone, Debug, PartialEq)]
pub enum BrokerLogin {
    /// User and password.
    Plain {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// The client certificate.
    External,
}

impl BrokerLogin {
    /// Resolves the login. `has_certificate` is whether the check has a client certificate.
    pub(super) fn resolve(
        mechanism: AuthMechanism,
        url: &ServerUrl,
        password: Option<SecretSource>,
        has_certificate: bool,
        place: &Place<'_>,
    ) -> Result<Self, Invalid> {
        match mechanism {
            AuthMechanism::External => {
                let place = place.field("auth_mechanism");
                if url.scheme != "amqps" || !has_certificate {
                    return Err(place.error(
                        "external needs a client certificate: write amqps:// in url, and the certificate in tls_config",
                    ));
                }
                if url.user.is_some() || password.is_some() {
                    return Err(
                        place.error("external uses the user of the certificate: remove user and password")
                    );
                }
                Ok(Self::External)
            }
            AuthMechanism::Plain => {
                let password = match (password, &url.user) {
                    (Some(password), _) => password,
                    (None, None) => SecretSource::Inline(Secret::new(DEFAULT_USER)),
                    (None, Some(_)) => {
                        return Err(place.error(
                            "the password of the user in the URL is missing: add password_file, password_env or password",
                        ));
                    }
                };
                let user = url.user.as_deref().unwrap_or(DEFAULT_USER);
                if user.chars().any(char::is_control) {
                    return Err(place
                        .field("url")
                        .error("the user contains a control character: remove it"));
                }
                Ok(Self::Plain {
                    user: user.to_owned(),
                    password,
                })
            }
        }
    }
}
