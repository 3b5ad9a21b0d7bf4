//! The configuration of rabbitmq checks: the broker's URL with the syntax of RabbitMQ's clients, the management API, and the
//! queues to check.

mod login;
mod management;
mod queues;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::login::{AuthMechanism, BrokerLogin};
use self::management::ManagementOptions;
pub use self::management::ManagementSettings;
use self::queues::MAX_NAME_BYTES;
pub use self::queues::{QueueOptions, QueueSettings};
use super::address::{AddressPreference, HostPort, IpProtocol};
use super::duration::DurationText;
use super::place::{Invalid, Place};
use super::server_url::ServerUrl;
use super::tls::{TlsOptions, TlsSettings};

/// The schemes with their default ports (<https://www.rabbitmq.com/docs/uri-spec>).
const SCHEMES: &[(&str, u16)] = &[("amqp", 5672), ("amqps", 5671)];
const EXAMPLE: &str = "amqp://app@mq.example.org:5672/%2f";
/// All characters except those that need no encoding (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The options of a rabbitmq check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RabbitmqOptions {
    /// URL of the broker: amqp://user@host:port/vhost, or amqps:// for TLS. The virtual host is percent-encoded (%2f for /).
    /// Default virtual host: /.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub url: Option<String>,
    /// Password of the user. Default: guest, if the URL has no user.
    pub password: Option<String>,
    /// File with the password, read at every run.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password, read at every run.
    pub password_env: Option<String>,
    /// Login mechanism: plain for user and password, or external for the certificate of tls_config. Default: plain.
    pub auth_mechanism: Option<AuthMechanism>,
    /// Reuse connections between runs. Default: true.
    pub reuse_connection: Option<bool>,
    /// URL of the management API, http://host:15672, for alarms, nodes and unacknowledged messages.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub management_url: Option<String>,
    /// User of the management API. Default: that of the broker.
    pub management_username: Option<String>,
    /// Password of that user. Default: that of the broker.
    pub management_password: Option<String>,
    /// File with the password, read at every run.
    pub management_password_file: Option<PathBuf>,
    /// Environment variable with the password, read at every run.
    pub management_password_env: Option<String>,
    /// Timeout of the management API in a run; keep it below the timeout of the check. Default: 3s.
    pub management_timeout: Option<DurationText>,
    /// Queues to check.
    pub queues: Vec<QueueOptions>,
    /// TLS options for amqps:// and https://.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for RabbitmqOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitmqOptions").finish_non_exhaustive()
    }
}

/// The settings of a rabbitmq check.
#[derive(Clone, Debug, PartialEq)]
pub struct RabbitmqSettings {
    /// The address of the broker.
    pub address: HostPort,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// The login.
    pub login: BrokerLogin,
    /// The virtual host.
    pub vhost: String,
    /// Whether connections are reused between runs.
    pub reuse_connection: bool,
    /// The management API.
    pub management: Option<ManagementSettings>,
    /// The queues to check.
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
            None => Err(place.error(format_args!("url is missing: write a URL such as {EXAMPLE}"))),
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
        let login = url
            .resolve_password(place, self.password, self.password_file, self.password_env)
            .and_then(|password| {
                let mechanism = self.auth_mechanism.unwrap_or_default();
                BrokerLogin::resolve(mechanism, &url, password, has_certificate, place)
            });
        let vhost = vhost(&url, &place.field("url"));
        let tls = tls?;
        let management = management.resolve(login.as_ref().ok(), &tls, preference, place);
        let management = management?;
        let is_https = management.as_ref().is_some_and(|api| api.tls.is_some());
        if is_tls_given && url.scheme != "amqps" && !is_https {
            return Err(place
                .field("tls_config")
                .error("tls_config needs TLS: write amqps:// in url, or https:// in management_url"));
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

    /// Takes the options of the management API.
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
}

/// Resolves the virtual host, which is the path. Rejects a query, since its keys are not supported.
fn vhost(url: &ServerUrl, place: &Place<'_>) -> Result<String, Invalid> {
    if let Some((key, _)) = url.query.first() {
        let known = ["auth_mechanism", "cacertfile", "certfile", "keyfile", "verify"];
        let advice = match known.contains(&key.as_str()) || key == "server_name_indication" {
            true => "use the keys auth_mechanism and tls_config",
            false => "remove it",
        };
        return Err(place.error(format_args!("the query of the URL is not supported: {advice}")));
    }
    let vhost = url.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    if vhost.len() > MAX_NAME_BYTES || vhost.chars().any(char::is_control) {
        return Err(place.error(format_args!(
            "the virtual host is not valid: write at most {MAX_NAME_BYTES} bytes without control characters"
        )));
    }
    Ok(vhost.to_owned())
}

impl RabbitmqSettings {
    /// `amqp://host:port/vhost`.
    pub fn target(&self) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        format!("{scheme}://{}/{}", self.address, encode_segment(&self.vhost))
    }
}

/// Encodes a name as one segment of a path.
pub fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

impl crate::config::KindFacts for RabbitmqSettings {
    const SEES_CERTIFICATES: bool = true;

    const IS_STORE: bool = true;

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "queue" => Some(self.queues.len() as u64),
            // memory, disk
            "alarm" => Some(2),
            // The limit in check/rabbitmq/management.rs.
            "node" => Some(32),
            "version" => Some(1),
            _ => None,
        }
    }
}
