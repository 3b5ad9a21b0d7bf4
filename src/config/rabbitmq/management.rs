//! Where a rabbitmq check finds the broker's management API, and as whom it asks there.

use std::path::PathBuf;
use std::time::Duration;

use super::{BrokerLogin, DEFAULT_MANAGEMENT_TIMEOUT};
use crate::config::address::{AddressPreference, HostPort};
use crate::config::http::Credentials;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::TlsSettings;
use crate::config::zone;

/// The schemes, with the ports that every URL has for them. (The plugin's own is 15672, which is to be written.)
const SCHEMES: &[(&str, u16)] = &[("http", 80), ("https", 443)];
const EXAMPLE: &str = "http://mq.example.org:15672";

/// The options about it, as written.
pub struct ManagementOptions {
    pub url: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub password_file: Option<PathBuf>,
    pub password_env: Option<String>,
    pub timeout: Option<Duration>,
}

/// The management API, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagementSettings {
    /// Where it is.
    pub address: HostPort,
    /// Which of its addresses.
    pub preference: AddressPreference,
    /// How to do TLS, where it is to be done.
    pub tls: Option<TlsSettings>,
    /// What its paths begin with, without a slash at the end; often empty.
    pub prefix: String,
    /// Who asks.
    pub credentials: Credentials,
    /// How long it may take of a run.
    pub timeout: Duration,
}

impl ManagementOptions {
    /// Resolves them; `login` is that of the broker, where it is right.
    pub fn resolve(
        self,
        login: Option<&BrokerLogin>,
        tls: &TlsSettings,
        preference: AddressPreference,
        place: &Place<'_>,
    ) -> Result<Option<ManagementSettings>, Invalid> {
        let password = SecretSource::from_keys(
            place,
            "management_password",
            self.password,
            self.password_file,
            self.password_env,
        );
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(place
                .field("management_timeout")
                .error("nothing answers in no time: write a duration such as 3s"));
        }
        let Some(text) = self.url else {
            return match (self.username, password?, self.timeout) {
                (None, None, None) => Ok(None),
                _ => Err(place.error(format_args!(
                    "management_url is missing: write one such as {EXAMPLE}, or leave out the other keys that begin with \
                     management_"
                ))),
            };
        };
        let field = place.field("management_url");
        let url = ServerUrl::parse(&text, SCHEMES, EXAMPLE, &field)?;
        if url.user.is_some() || url.password.is_some() {
            return Err(
                field.error("write user and password as management_username and management_password_file")
            );
        }
        if !url.query.is_empty() {
            return Err(field.error("the URL of the management has no query"));
        }
        let prefix = prefix(&text);
        let (user, password) = match (self.username, password?, login) {
            (Some(user), Some(password), _) => (user, password),
            (None, given, Some(BrokerLogin::Plain { user, password })) => {
                (user.clone(), given.unwrap_or_else(|| password.clone()))
            }
            (Some(_), None, _) => {
                return Err(place.field("management_username").error(
                    "the password is missing: give management_password_file, _env or management_password",
                ));
            }
            (None, _, Some(BrokerLogin::External)) => {
                return Err(field.error(
                    "give management_username and management_password_file: the login at the broker has none",
                ));
            }
            // What is wrong with the login is told there.
            (None, _, None) => return Err(Invalid),
        };
        Ok(Some(ManagementSettings {
            address: url.address,
            preference,
            tls: Some(tls.clone()).filter(|_| url.scheme == "https"),
            prefix,
            credentials: Credentials::Basic {
                username: SecretSource::Inline(Secret::new(user)),
                password: Some(password),
            },
            timeout: self.timeout.unwrap_or(DEFAULT_MANAGEMENT_TIMEOUT),
        }))
    }
}

/// The path of the URL as it is written, for it goes into requests as it is.
fn prefix(url: &str) -> String {
    let url = zone::take(url)
        .ok()
        .and_then(|(url, _)| url::Url::parse(&url).ok());
    let path = url.map(|url| url.path().to_owned());
    path.unwrap_or_default().trim_end_matches('/').to_owned()
}
