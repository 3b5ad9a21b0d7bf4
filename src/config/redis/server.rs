//! Where a Redis server is and who asks it, as its URL and the keys beside it say. Whatever talks to Redis shares this.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::address::{AddressPreference, HostPort, IpProtocol};
use crate::config::place::{Invalid, Place};
use crate::config::secret::SecretSource;
use crate::config::server_url::ServerUrl;
use crate::config::tls::{TlsOptions, TlsSettings};

/// The schemes of servers at a host, each with its default port.
const HOST_SCHEMES: [(&str, u16); 4] = [
    ("redis", 6379),
    ("rediss", 6379),
    ("valkey", 6379),
    ("valkeys", 6379),
];
/// The schemes of Unix sockets; the last one is Celery's.
const UNIX_SCHEMES: [&str; 3] = ["unix", "redis+unix", "redis+socket"];

/// What a faulty URL is told to be like.
const EXAMPLE: &str = "redis://cache:6379/0 (rediss:// for TLS) or unix:///run/redis/redis.sock?db=0";

/// What was written about a server.
#[derive(Default)]
pub struct Written {
    /// The URL.
    pub url: String,
    /// The user, where the URL has none.
    pub username: Option<String>,
    /// The password, where the URL has none.
    pub password: Option<String>,
    /// A file with it.
    pub password_file: Option<PathBuf>,
    /// An environment variable with it.
    pub password_env: Option<String>,
    /// How TLS is done.
    pub tls_config: Option<TlsOptions>,
    /// The protocol whose addresses come first.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether the other protocol's addresses come after them.
    pub ip_protocol_fallback: Option<bool>,
}

/// A server and who asks it.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisServer {
    /// The scheme, as written.
    pub scheme: &'static str,
    /// Where it is.
    pub endpoint: RedisEndpoint,
    /// The user; the server's `default` where absent.
    pub username: Option<String>,
    /// The password, where one is to be sent.
    pub password: Option<SecretSource>,
    /// The number of the database.
    pub database: u32,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisEndpoint {
    /// At a host.
    Host {
        /// The host.
        address: HostPort,
        /// Which of its addresses.
        preference: AddressPreference,
        /// How to do TLS, where it is to be done.
        tls: Option<TlsSettings>,
    },
    /// At a Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { address, .. } => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The parts of a URL.
struct Parts {
    scheme: &'static str,
    username: Option<String>,
    password: Option<SecretSource>,
    address: Result<HostPort, PathBuf>,
    database: Result<u32, Invalid>,
}

impl RedisServer {
    /// Resolves what was written; `key` of the mapping at `place` holds the URL.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(written: Written, key: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let at_url = place.field(key);
        let url = parts(&written.url, &at_url);
        let given = SecretSource::from_keys(
            place,
            "password",
            written.password,
            written.password_file,
            written.password_env,
        );
        let tls = written
            .tls_config
            .clone()
            .unwrap_or_default()
            .resolve(&place.field("tls_config"));
        let (url, given, tls) = (url?, given?, tls?);
        let is_tls = matches!(url.scheme, "rediss" | "valkeys");
        if written.tls_config.is_some() && !is_tls {
            let message = format!("tls_config needs TLS: write rediss:// (or valkeys://) in {key}");
            return Err(place.field("tls_config").error(message));
        }
        let twice = |what| at_url.error(format_args!("the {what} is given twice: leave it out of the URL"));
        let password = match (url.password, given) {
            (Some(_), Some(_)) => return Err(twice("password")),
            (url, given) => given.or(url),
        };
        let username = match (url.username, written.username) {
            (Some(_), Some(_)) => return Err(twice("user")),
            (url, given) => given.or(url),
        };
        if username.is_some() && password.is_none() {
            let message = "there is a user but no password: add password_file or password_env (and where the \
                           URL's user is meant to be the password, write redis://:password@host)";
            return Err(at_url.error(message));
        }
        let endpoint = match url.address {
            Ok(address) => RedisEndpoint::Host {
                address,
                preference: AddressPreference::new(
                    written.preferred_ip_protocol,
                    written.ip_protocol_fallback,
                ),
                tls: is_tls.then_some(tls),
            },
            Err(path) => RedisEndpoint::Unix(path),
        };
        Ok(Self {
            scheme: url.scheme,
            endpoint,
            username,
            password,
            database: url.database?,
        })
    }

    /// `scheme://host:port/database`, or the Unix socket, without who asks.
    pub fn target(&self) -> String {
        match &self.endpoint {
            RedisEndpoint::Host { address, .. } => format!("{}://{address}/{}", self.scheme, self.database),
            RedisEndpoint::Unix(path) => format!("{}://{}", self.scheme, path.display()),
        }
    }
}

fn parts(text: &str, place: &Place<'_>) -> Result<Parts, Invalid> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if let Some(scheme) = UNIX_SCHEMES.into_iter().find(|known| scheme == Some(known)) {
        return unix(text, scheme, place);
    }
    let url = ServerUrl::parse(text, &HOST_SCHEMES, EXAMPLE, place)?;
    let path = url.path.as_deref().unwrap_or_default();
    Ok(Parts {
        scheme: url.scheme,
        username: url.user,
        password: url.password.map(SecretSource::Inline),
        address: Ok(url.address),
        database: database((!path.is_empty()).then_some(path), &url.query, place),
    })
}

fn unix(text: &str, scheme: &'static str, place: &Place<'_>) -> Result<Parts, Invalid> {
    let wrong = |what| place.error(format_args!("{what}: write one such as {EXAMPLE}"));
    let url = Url::parse(text).map_err(|_| wrong("this is no URL of a Unix socket"))?;
    if url.has_host() && !url.host_str().unwrap_or_default().is_empty() {
        return Err(wrong("the URL of a Unix socket has no host, but three slashes"));
    }
    let path: Vec<u8> = percent_decode_str(url.path()).collect();
    if path.len() < 2 {
        return Err(wrong("the URL has no path of a socket"));
    }
    let query: Vec<_> = url.query_pairs().into_owned().collect();
    Ok(Parts {
        scheme,
        username: None,
        password: None,
        address: Err(PathBuf::from(std::ffi::OsString::from_vec(path))),
        database: database(None, &query, place),
    })
}

/// The number of the database, by the path or by the query's `db`.
fn database(path: Option<&str>, query: &[(String, String)], place: &Place<'_>) -> Result<u32, Invalid> {
    let mut number = path;
    for (key, value) in query {
        // What the query holds is not quoted: some clients take a password there.
        if !matches!(key.as_str(), "db" | "virtual_host") {
            return Err(place.error(
                "the URL's query is not understood: it may have db only; options are keys of the check",
            ));
        }
        if number.replace(value).is_some() {
            return Err(place.error("the number of the database is given twice"));
        }
    }
    match number.map(str::parse) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => {
            Err(place
                .error("the database is not a number: write it after the host, as in redis://cache:6379/0"))
        }
    }
}
