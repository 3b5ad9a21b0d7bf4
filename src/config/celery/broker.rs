//! The broker of a celery check: what its URL says, and the options that only one kind of broker has.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::CeleryOptions;
use crate::config::address::{AddressPreference, HostPort};
use crate::config::place::{Invalid, Place};
use crate::config::redis::server::{RedisServer, Written};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::TlsSettings;

/// The schemes of AMQP brokers, with the ports that Celery's own transport assumes.
const AMQP_SCHEMES: [(&str, u16); 2] = [("amqp", 5672), ("amqps", 5671)];

/// The schemes of Redis brokers; the last one is a Unix socket.
const REDIS_SCHEMES: [&str; 3] = ["redis", "rediss", "redis+socket"];

const EXAMPLE: &str = "redis://cache:6379/1, rediss://cache:6379/1, amqp://mq:5672/ or amqps://mq:5671/";

/// What stands between a queue's name and a priority where nothing is said.
const SEP: &str = "\x06\x16";

/// The priorities that have a list of their own where nothing is said.
const PRIORITY_STEPS: [u8; 4] = [0, 3, 6, 9];

/// Which broker it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Broker {
    /// Redis, or what speaks like it.
    Redis {
        /// Where it is, and who asks.
        server: RedisServer,
        /// How its keys are named.
        keys: RedisKeys,
    },
    /// RabbitMQ, or what speaks AMQP 0-9-1 like it.
    Amqp(AmqpServer),
}

/// An AMQP broker.
#[derive(Clone, Debug, PartialEq)]
pub struct AmqpServer {
    /// Where it is.
    pub address: HostPort,
    /// Which of its addresses.
    pub preference: AddressPreference,
    /// How to do TLS, where it is to be done.
    pub tls: Option<TlsSettings>,
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretSource,
    /// The virtual host.
    pub virtual_host: String,
}

/// How the keys and channels of Celery's Redis transport are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisKeys {
    /// What every key and channel begins with.
    pub global: String,
    /// What channels begin with after that.
    pub fanout: String,
    /// The priorities that have a list of their own, rising.
    pub priority_steps: Vec<u8>,
    /// What stands between the parts of a name.
    pub sep: String,
}

/// Whether channels have a prefix: `true`, `false`, or the prefix itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FanoutPrefix {
    /// The usual one, which names the database, or none.
    Usual(bool),
    /// This one, in which `{db}` stands for the number of the database.
    Text(String),
}

/// Resolves what is about the broker.
pub(super) fn resolve(options: CeleryOptions, place: &Place<'_>) -> Result<Broker, Invalid> {
    let at_url = place.field("broker_url");
    let Some(text) = options.broker_url.clone() else {
        return Err(place.error(format_args!("broker_url is missing: write one such as {EXAMPLE}")));
    };
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    if REDIS_SCHEMES.contains(&scheme) {
        redis(options, &text, place)
    } else if AMQP_SCHEMES.iter().any(|(known, _)| *known == scheme) {
        amqp(options, &text, place).map(Broker::Amqp)
    } else {
        // It is not quoted: it may hold a password.
        Err(at_url.error(format_args!(
            "this is no URL of a broker that is supported: write one such as {EXAMPLE}"
        )))
    }
}

fn redis(options: CeleryOptions, text: &str, place: &Place<'_>) -> Result<Broker, Invalid> {
    let sep = options.sep.unwrap_or_else(|| SEP.to_owned());
    let mut result = Ok(());
    if sep.is_empty() {
        result = Err(place
            .field("sep")
            .error("is empty: leave it out for Celery's own"));
    }
    let mut priority_steps = options.priority_steps.unwrap_or(PRIORITY_STEPS.to_vec());
    priority_steps.sort_unstable();
    priority_steps.dedup();
    if priority_steps.is_empty() || priority_steps.last().is_some_and(|last| *last > 9) {
        result = Err(place
            .field("priority_steps")
            .error("Celery's priorities are 0 to 9: write those that have a step, such as [0, 3, 6, 9]"));
    }
    let written = Written {
        url: without_default_query(text),
        username: None,
        password: options.password,
        password_file: options.password_file,
        password_env: options.password_env,
        tls_config: options.tls_config,
        preferred_ip_protocol: options.preferred_ip_protocol,
        ip_protocol_fallback: options.ip_protocol_fallback,
    };
    let server = RedisServer::resolve(written, "broker_url", place)?;
    result?;
    let database = server.database;
    let fanout = match options.fanout_prefix.unwrap_or(FanoutPrefix::Usual(true)) {
        FanoutPrefix::Usual(true) => format!("/{database}."),
        FanoutPrefix::Usual(false) => String::new(),
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

/// The URL without the option that Celery wants in every rediss:// URL, where it asks for what is done anyway.
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
            let message = format_args!("{key} is an option of Redis brokers: remove it");
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
        // Some clients take credentials there: it is not quoted.
        result =
            Err(at_url
                .error("the URL's query is not understood: leave it out, options are keys of the check"));
    }
    let password = match (url.password, given?) {
        (Some(_), Some(_)) => Err(at_url.error("the password is given twice: leave it out of the URL")),
        (Some(password), None) => Ok(SecretSource::Inline(password)),
        // RabbitMQ's default user, whom Celery assumes too.
        (None, given) => Ok(given.unwrap_or_else(|| SecretSource::Inline(Secret::new("guest")))),
    };
    result?;
    // As Celery reads it: nothing is the virtual host "/".
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

// Serde's untagged enums would answer a mistake with "data did not match any variant".
impl<'de> Deserialize<'de> for FanoutPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PrefixVisitor;

        impl Visitor<'_> for PrefixVisitor {
            type Value = FanoutPrefix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a prefix such as \"/{db}.\"")
            }

            fn visit_bool<E: Error>(self, is_usual: bool) -> Result<FanoutPrefix, E> {
                Ok(FanoutPrefix::Usual(is_usual))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FanoutPrefix, E> {
                Ok(FanoutPrefix::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(PrefixVisitor)
    }
}

impl JsonSchema for FanoutPrefix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FanoutPrefix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["boolean", "string"],
            "description": "Whether channels have a prefix, or the prefix itself"
        })
    }
}
