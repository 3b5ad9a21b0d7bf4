//! The broker of a celery check: its URL, and the options that only one type of broker has.

use super::options::{CeleryOptions, FanoutPrefix};
use crate::config::address::{AddressPreference, HostPort};
use crate::config::place::{Invalid, Place};
use crate::config::redis::server::{RedisServer, ServerOptions};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::TlsSettings;

/// The schemes of AMQP brokers, with the default ports of Celery's transport.
const AMQP_SCHEMES: [(&str, u16); 2] = [("amqp", 5672), ("amqps", 5671)];

/// The schemes of Redis brokers; the last one is a Unix socket.
const REDIS_SCHEMES: [&str; 3] = ["redis", "rediss", "redis+socket"];

const EXAMPLE: &str = "redis://cache:6379/1, rediss://cache:6379/1, amqp://mq:5672/ or amqps://mq:5671/";

/// The default separator between the name of a queue and a priority.
const SEP: &str = "\x06\x16";

/// The default priorities with their own list.
const PRIORITY_STEPS: [u8; 4] = [0, 3, 6, 9];

/// A broker.
#[derive(Clone, Debug, PartialEq)]
pub enum Broker {
    /// Redis or a compatible server.
    Redis {
        /// The server and its credentials.
        server: RedisServer,
        /// The names of keys.
        keys: RedisKeys,
    },
    /// RabbitMQ or another server with AMQP 0-9-1.
    Amqp(AmqpServer),
}

/// An AMQP broker.
#[derive(Clone, Debug, PartialEq)]
pub struct AmqpServer {
    /// The address.
    pub address: HostPort,
    /// The addresses of the host to try.
    pub preference: AddressPreference,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretSource,
    /// The virtual host.
    pub virtual_host: String,
}

/// The names of keys and channels in Celery's Redis transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisKeys {
    /// The prefix of every key and channel.
    pub global: String,
    /// The prefix of channels, after the global one.
    pub fanout: String,
    /// The priorities with their own list, in ascending order.
    pub priority_steps: Vec<u8>,
    /// The separator between the parts of a name.
    pub sep: String,
}

/// Resolves the options of the broker.
pub(super) fn resolve(options: CeleryOptions, place: &Place<'_>) -> Result<Broker, Invalid> {
    let at_url = place.field("broker_url");
    let Some(text) = options.broker_url.clone() else {
        return Err(place.error(format_args!(
            "broker_url is missing: write a URL such as {EXAMPLE}"
        )));
    };
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    if REDIS_SCHEMES.contains(&scheme) {
        redis(options, &text, place)
    } else if AMQP_SCHEMES.iter().any(|(known, _)| *known == scheme) {
        amqp(options, &text, place).map(Broker::Amqp)
    } else {
        // The URL is not quoted: it may contain a password.
        Err(at_url.error(format_args!(
            "not the URL of a supported broker: write a URL such as {EXAMPLE}"
        )))
    }
}

fn redis(options: CeleryOptions, text: &str, place: &Place<'_>) -> Result<Broker, Invalid> {
    let sep = options.sep.unwrap_or_else(|| SEP.to_owned());
    let mut result = Ok(());
    if sep.is_empty() {
        result = Err(place
            .field("sep")
            .error("empty: remove this key to use Celery's default"));
    }
    let mut priority_steps = options.priority_steps.unwrap_or(PRIORITY_STEPS.to_vec());
    priority_steps.sort_unstable();
    priority_steps.dedup();
    if priority_steps.is_empty() || priority_steps.last().is_some_and(|last| *last > 9) {
        result = Err(place
            .field("priority_steps")
            .error("not a list of priorities from 0 to 9: write a list such as [0, 3, 6, 9]"));
    }
    let server = ServerOptions {
        url: without_default_query(text),
        username: None,
        password: options.password,
        password_file: options.password_file,
        password_env: options.password_env,
        tls_config: options.tls_config,
        preferred_ip_protocol: options.preferred_ip_protocol,
        ip_protocol_fallback: options.ip_protocol_fallback,
    };
    let server = RedisServer::resolve(server, "broker_url", place)?;
    result?;
    let database = server.database;
    let fanout = match options.fanout_prefix.unwrap_or(FanoutPrefix::Default(true)) {
        FanoutPrefix::Default(true) => format!("/{database}."),
        FanoutPrefix::Default(false) => String::new(),
        FanoutPrefix::Text(text) => text.replace("{db}", &database.to_string()),
    };
    let keys = RedisKeys {
        global: options.global_keyprefix.unwrap_or_default(),
        fanout,
        priority_steps,
        sep,
    };
    Ok(Broker::Redis { server, keys })
}

/// Removes the option that Celery requires in every rediss:// URL, if it has the value that is the default here.
fn without_default_query(text: &str) -> String {
    match text.split_once('?') {
        Some((url, "ssl_cert_reqs=required" | "ssl_cert_reqs=CERT_REQUIRED")) => url.to_owned(),
        _ => text.to_owned(),
    }
}

fn amqp(options: CeleryOptions, text: &str, place: &Place<'_>) -> Result<AmqpServer, Invalid> {
    let at_url = place.field("broker_url");
    let mut result = Ok(());
    for (key, is_given) in [
        ("global_keyprefix", options.global_keyprefix.is_some()),
        ("fanout_prefix", options.fanout_prefix.is_some()),
        ("priority_steps", options.priority_steps.is_some()),
        ("sep", options.sep.is_some()),
    ] {
        if is_given {
            let message = format_args!("{key} is supported for Redis only: remove this key");
            result = Err(place.field(key).error(message));
        }
    }
    let given = SecretSource::from_keys(
        place,
        "password",
        options.password,
        options.password_file,
        options.password_env,
    );
    let is_tls_given = options.tls_config.is_some();
    let tls = options
        .tls_config
        .unwrap_or_default()
        .resolve(&place.field("tls_config"));
    let url = ServerUrl::parse(text, &AMQP_SCHEMES, EXAMPLE, &at_url)?;
    let is_tls = url.scheme == "amqps";
    if is_tls_given && !is_tls {
        let message = "tls_config needs TLS: write amqps:// in broker_url";
        result = Err(place.field("tls_config").error(message));
    }
    if !url.query.is_empty() {
        // The query is not quoted: some clients accept credentials there.
        result =
            Err(at_url.error("the query of the URL is not supported: remove it, and use keys of the check"));
    }
    let password = match (url.password, given?) {
        (Some(_), Some(_)) => Err(at_url.error("the password is given twice: remove it from the URL")),
        (Some(password), None) => Ok(SecretSource::Inline(password)),
        // RabbitMQ's default user, which is Celery's default too.
        (None, given) => Ok(given.unwrap_or_else(|| SecretSource::Inline(Secret::new("guest")))),
    };
    result?;
    // As in Celery, an empty path is the virtual host "/".
    let virtual_host = url.path.filter(|path| !path.is_empty());
    Ok(AmqpServer {
        address: url.address,
        preference: AddressPreference::new(options.preferred_ip_protocol, options.ip_protocol_fallback),
        tls: Some(tls?).filter(|_| is_tls),
        user: url.user.unwrap_or_else(|| "guest".to_owned()),
        password: password?,
        virtual_host: virtual_host.unwrap_or_else(|| "/".to_owned()),
    })
}

impl AmqpServer {
    /// `scheme://host:port/virtual-host`.
    pub(super) fn target(&self) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        match self.virtual_host.as_str() {
            "/" => format!("{scheme}://{}", self.address),
            other => format!("{scheme}://{}/{other}", self.address),
        }
    }
}
