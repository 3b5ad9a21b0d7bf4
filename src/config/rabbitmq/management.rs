//! The options of the broker's management API.

use std::path::PathBuf;
use std::time::Duration;

use super::login::BrokerLogin;
use crate::config::address::{AddressPreference, HostPort};
use crate::config::http::Credentials;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::TlsSettings;
use crate::config::zone;

/// The schemes with their default ports. The plugin listens on 15672, so its URL needs a port.
const SCHEMES: &[(&str, u16)] = &[("http", 80), ("https", 443)];
const EXAMPLE: &str = "http://mq.example.org:15672";
/// The default timeout of the management API in a run.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The options of the management API.
pub struct ManagementOptions {
    pub url: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub password_file: Option<PathBuf>,
    pub password_env: Option<String>,
    pub timeout: Option<Duration>,
}

/// The settings of the management API.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagementSettings {
    /// The address.
    pub address: HostPort,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// The prefix of its paths, without a slash at the end; often empty.
    pub prefix: String,
    /// The credentials.
    pub credentials: Credentials,
    /// The timeout of its requests in a run.
    pub timeout: Duration,
}

impl ManagementOptions {
    /// Resolves the options. `login` is that of the broker, if it is valid.
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
                .error("0s is out of range: write a longer duration, such as 3s"));
        }
        let Some(text) = self.url else {
            return match (self.username, password?, self.timeout) {
                (None, None, None) => Ok(None),
                _ => Err(place.error(format_args!(
                    "management_url is missing: write a URL such as {EXAMPLE}, or remove the other management_ keys"
                ))),
            };
        };
        let field = place.field("management_url");
        let url = ServerUrl::parse(&text, SCHEMES, EXAMPLE, &field)?;
        if url.user.is_some() || url.password.is_some() {
            return Err(field.error(
                "the URL contains credentials: use management_username and management_password_file",
            ));
        }
        if !url.query.is_empty() {
            return Err(field.error("the query of the URL is not supported: remove it"));
        }
        let prefix = prefix(&text);
        let (user, password) = match (self.username, password?, login) {
            (Some(user), Some(password), _) => (user, password),
            (None, given, Some(BrokerLogin::Plain { user, password })) => {
                (user.clone(), given.unwrap_or_else(|| password.clone()))
            }
            (Some(_), None, _) => {
                return Err(place.field("management_username").error(
                    "the password is missing: add management_password_file, management_password_env or management_password",
                ));
            }
            (None, _, Some(BrokerLogin::External)) => {
                return Err(field.error(
                    "the credentials are missing: add management_username and management_password_file",
                ));
            }
            // The error of the login was reported.
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
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
        }))
    }
}

/// The path of the URL, still encoded, because requests need it so.
fn prefix(url: &str) -> String {
    let url = zone::remove_from_url(url)
        .ok()
        .and_then(|(url, _)| url::Url::parse(&url).ok());
    let path = url.map(|url| url.path().to_owned());
    path.unwrap_or_default().trim_end_matches('/').to_owned()
}
