//! The options of celery checks, as they are written.

use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::queues::QueueOptions;
use crate::config::address::IpProtocol;
use crate::config::duration::DurationText;
use crate::config::schema_scalars::TEXT_ONLY;
use crate::config::tls::TlsOptions;

/// The options of a celery check.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CeleryOptions {
    /// URL of the broker, like Celery's broker_url: redis://, rediss://, amqp:// or amqps://.
    #[schemars(regex(pattern = r"^\s*[A-Za-z][A-Za-z0-9+.-]*:"))]
    pub broker_url: Option<String>,
    /// Password of the broker, if the URL has none.
    pub password: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    pub password_env: Option<String>,
    /// TLS options. Needs rediss:// or amqps://.
    pub tls_config: Option<TlsOptions>,
    /// IP protocol to try first: ip4 or ip6. Default: ip6.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well. Default: true.
    pub ip_protocol_fallback: Option<bool>,
    /// Reuse the connection between runs. Default: true.
    pub reuse_connection: Option<bool>,
    /// Minimum number of workers. With fewer, the run fails. Default: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub min_workers: Option<usize>,
    /// Expected number of workers. With fewer, the run has a warning.
    #[schemars(range(min = 1, max = 1000))]
    pub expected_workers: Option<usize>,
    /// Queues whose lengths are checked: names, or mappings with name and max_messages.
    pub queues: Vec<QueueOptions>,
    /// Time to wait for replies. Default: 1s.
    pub reply_timeout: Option<DurationText>,
    /// Serializer of pings: json, yaml, msgpack or pickle. It must be in the workers' accept_content. Default: json, then the
    /// others if no worker replies.
    pub serializer: Option<Serializer>,
    /// Celery's control_exchange. Default: celery.
    #[schemars(length(min = 1))]
    pub control_exchange: Option<String>,
    /// global_keyprefix of Celery's broker_transport_options. Redis only.
    pub global_keyprefix: Option<String>,
    /// fanout_prefix of Celery's broker_transport_options. Redis only. Default: true.
    pub fanout_prefix: Option<FanoutPrefix>,
    /// priority_steps of Celery's broker_transport_options. Redis only. Default: [0, 3, 6, 9].
    #[schemars(length(min = 1))]
    pub priority_steps: Option<Vec<u8>>,
    /// sep of Celery's broker_transport_options. Redis only.
    #[schemars(length(min = 1))]
    pub sep: Option<String>,
}

/// Shows no content, which may be secret.
impl fmt::Debug for CeleryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CeleryOptions").finish_non_exhaustive()
    }
}

/// A serializer of Celery's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Serializer {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// `MessagePack`.
    Msgpack,
    /// Python's pickle.
    Pickle,
}

impl Serializer {
    /// All serializers, the most common ones first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Pickle, Self::Msgpack, Self::Yaml];
}

impl fmt::Display for Serializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Msgpack => "msgpack",
            Self::Pickle => "pickle",
        })
    }
}

/// The prefix of channels: `true`, `false`, or the prefix itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FanoutPrefix {
    /// Whether there is the default prefix, which contains the number of the database.
    Default(bool),
    /// This prefix, with `{db}` for the number of the database.
    Text(String),
}

// The error of an untagged enum would be "data did not match any variant".
impl<'de> Deserialize<'de> for FanoutPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PrefixVisitor;

        impl Visitor<'_> for PrefixVisitor {
            type Value = FanoutPrefix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a prefix such as \"/{db}.\"")
            }

            fn visit_bool<E: Error>(self, has_default: bool) -> Result<FanoutPrefix, E> {
                Ok(FanoutPrefix::Default(has_default))
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
            "$comment": TEXT_ONLY,
            "description": "Whether channels have a prefix, or the prefix itself"
        })
    }
}
