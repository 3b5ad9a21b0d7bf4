//! The configuration of rabbitmq checks: the broker's URL as RabbitMQ's clients write it, the management API beside it, and
//! the queues that are watched by name.

mod management;
mod queues;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;

use self::management::ManagementOptions;
pub use self::management::ManagementSettings;
pub use self::queues::{QueueOptions, QueueSettings};
use super::address::{AddressPreference, HostPort, IpProtocol};
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::secret::{Secret, SecretSource};
use super::server_url::ServerUrl;
use super::tls::{TlsOptions, TlsSettings};

/// The schemes, with their ports (<https://www.rabbitmq.com/docs/uri-spec>).
const SCHEMES: &[(&str, u16)] = &[("amqp", 5672), ("amqps", 5671)];
const EXAMPLE: &str = "amqp://app@mq.example.org:5672/%2f";
/// What RabbitMQ's clients take where a URL names no user.
const DEFAULT_USER: &str = "guest";
/// The longest name in the protocol, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// What a path keeps as it is (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a client logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMechanism {
    /// By user and password.
    #[default]
    Plain,
    /// By the client's certificate.
    External,
}

/// The options of a rabbitmq check, as written.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RabbitmqOptions {
    /// The broker: amqp://user@host:port/vhost, or amqps:// for TLS. The virtual host is percent-encoded (%2f for /);
    /// without one it is /.
    pub url: Option<String>,
    /// The user's password (default guest where the URL names no user).
    pub password: Option<String>,
    /// A file with the password; read again at every run.
    pub password_file: Option<PathBuf>,
    /// An environment variable with the password; read again at every run.
    pub password_env: Option<String>,
    /// How to log in: plain (user and password, the default) or external (the certificate of tls_config).
    pub auth_mechanism: Option<AuthMechanism>,
    /// Keep the connections between runs (default true).
    pub reuse_connection: Option<bool>,
    /// The management API, http://host:15672, for alarms, nodes and unacknowledged messages.
    pub management_url: Option<String>,
    /// The user there (default: the broker's).
    pub management_username: Option<String>,
    /// That user's password (default: the broker's).
    pub management_password: Option<String>,
    /// A file with it; read again at every run.
    pub management_password_file: Option<PathBuf>,
    /// An environment variable with it; read again at every run.
    pub management_password_env: Option<String>,
    /// How long the management may take of a run (default 3s); below the check's timeout.
    pub management_timeout: Option<DurationText>,
    /// The queues that are watched.
    pub queues: Vec<QueueOptions>,
    /// How TLS is done, for amqps:// and https://.
    pub tls_config: Option<TlsOptions>,
    /// The protocol whose addresses come first: ip4 or ip6 (default).
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them (default true).
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows nothing of its content, which may be secret.
impl std::fmt::Debug for RabbitmqOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitmqOptions").finish_non_exhaustive()
    }
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq)]
pub enum BrokerLogin {
    /// By user and password.
    Plain {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// By the client's certificate.
    External,
}

/// What a rabbitmq check needs, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct RabbitmqSettings {
    /// Where the broker is.
    pub address: HostPort,
    /// Which of its addresses.
    pub preference: AddressPreference,
    /// How to do TLS, where it is to be done.
    pub tls: Option<TlsSettings>,
    /// Who logs in.
    pub login: BrokerLogin,
    /// The virtual host.
    pub vhost: String,
    /// Whether connections are kept between runs.
    pub reuse_connection: bool,
    /// The management API.
    pub management: Option<ManagementSettings>,
    /// The queues that are watched.
    pub queues: Vec<QueueSettings>,
}

impl RabbitmqOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(mut self, place: &Place<'_>) -> Result<RabbitmqSettings, Invalid> {
        let url = match &self.url {
            Some(text) => ServerUrl::parse(text, SCHEMES, EXAMPLE, &place.field("url")),
            None => Err(place.error(format_args!("url is missing: write one such as {EXAMPLE}"))),
        };
        let queues = queues::resolve(std::mem::take(&mut self.queues), &place.field("queues"));
        let tls_options = self.tls_config.take();
        let has_certificate = tls_options
            .as_ref()
            .is_some_and(|tls| tls.cert.is_some() || tls.cert_file.is_some());
        let is_tls_given = tls_options.is_some();
        let tls = tls_options
            .unwrap_or_default()
            .resolve(&place.field("tls_config"));
        let management = self.management();
        let preference = AddressPreference::new(self.preferred_ip_protocol, self.ip_protocol_fallback);
        let reuse_connection = self.reuse_connection.unwrap_or(true);
        let url = url?;
        let login = self.login(&url, has_certificate, place);
        let vhost = vhost(&url, &place.field("url"));
        let tls = tls?;
        let management = management.resolve(login.as_ref().ok(), &tls, preference, place);
        let management = management?;
        let is_https = management.as_ref().is_some_and(|api| api.tls.is_some());
        if is_tls_given && url.scheme != "amqps" && !is_https {
            return Err(place.field("tls_config").error(
                "tls_config needs a URL that begins with amqps://, or a management_url with https://",
            ));
        }
        Ok(RabbitmqSettings {
            address: url.address,
            preference,
            tls: Some(tls).filter(|_| url.scheme == "amqps"),
            login: login?,
            vhost: vhost?,
            reuse_connection,
            management,
            queues: queues?,
        })
    }

    /// Takes out what is about the management API.
    fn management(&mut self) -> ManagementOptions {
        ManagementOptions {
            url: self.management_url.take(),
            username: self.management_username.take(),
            password: self.management_password.take(),
            password_file: self.management_password_file.take(),
            password_env: self.management_password_env.take(),
            timeout: self.management_timeout.map(|DurationText(timeout)| timeout),
        }
    }

    fn login(
        self,
        url: &ServerUrl,
        has_certificate: bool,
        place: &Place<'_>,
    ) -> Result<BrokerLogin, Invalid> {
        let password = url.password(place, self.password, self.password_file, self.password_env)?;
        match self.auth_mechanism.unwrap_or_default() {
            AuthMechanism::External => {
                let place = place.field("auth_mechanism");
                if url.scheme != "amqps" || !has_certificate {
                    return Err(place.error(
                        "external needs a URL that begins with amqps://, and a client's certificate in tls_config",
                    ));
                }
                if url.user.is_some() || password.is_some() {
                    return Err(place
                        .error("external takes the user from the certificate: leave out user and password"));
                }
                Ok(BrokerLogin::External)
            }
            AuthMechanism::Plain => {
                let password = match (password, &url.user) {
                    (Some(password), _) => password,
                    (None, None) => SecretSource::Inline(Secret::new(DEFAULT_USER)),
                    (None, Some(_)) => {
                        return Err(place.error(
                            "the password of the URL's user is missing: give password_file, password_env or password",
                        ));
                    }
                };
                let user = url.user.as_deref().unwrap_or(DEFAULT_USER);
                if user.chars().any(char::is_control) {
                    return Err(place.field("url").error("the user holds a control character"));
                }
                Ok(BrokerLogin::Plain {
                    user: user.to_owned(),
                    password,
                })
            }
        }
    }
}

/// The virtual host: the path, where it is not empty. A query is refused, for none of its keys would do anything.
fn vhost(url: &ServerUrl, place: &Place<'_>) -> Result<String, Invalid> {
    if let Some((key, _)) = url.query.first() {
        let known = ["auth_mechanism", "cacertfile", "certfile", "keyfile", "verify"];
        let advice = match known.contains(&key.as_str()) || key == "server_name_indication" {
            true => "write it as a key of the check: auth_mechanism, tls_config",
            false => "leave it out",
        };
        return Err(place.error(format_args!("this check takes no query in the URL: {advice}")));
    }
    let vhost = url.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    if vhost.len() > MAX_NAME_BYTES || vhost.chars().any(char::is_control) {
        return Err(place.error(format_args!(
            "the virtual host is no text of at most {MAX_NAME_BYTES} bytes without control characters"
        )));
    }
    Ok(vhost.to_owned())
}

impl RabbitmqSettings {
    /// `amqp://host:port/vhost`.
    pub fn target(&self) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        format!("{scheme}://{}/{}", self.address, escaped(&self.vhost))
    }
}

/// A name as one segment of a path.
pub fn escaped(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// How long the management may take of a run where nothing is written.
pub const DEFAULT_MANAGEMENT_TIMEOUT: Duration = Duration::from_secs(3);

impl crate::config::KindFacts for RabbitmqSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "queue" => Some(self.queues.len() as u64),
            // memory, disk
            "alarm" => Some(2),
            // The bound of check/rabbitmq/management.rs.
            "node" => Some(32),
            "version" => Some(1),
            _ => None,
        }
    }
}
