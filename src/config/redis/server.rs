//! The address and credentials of a Redis server, from its URL and other keys. Shared by all kinds that use Redis.

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
/// The schemes of Unix sockets. The last one is Celery's.
const UNIX_SCHEMES: [&str; 3] = ["unix", "redis+unix", "redis+socket"];

/// Examples for errors.
const EXAMPLE: &str = "redis://cache:6379/0 (rediss:// for TLS) or unix:///run/redis/redis.sock?db=0";

/// The options of a server.
#[derive(Default)]
pub struct ServerOptions {
    /// The URL.
    pub url: String,
    /// The user, if the URL has none.
    pub username: Option<String>,
    /// The password, if the URL has none.
    pub password: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// An environment variable with the password.
    pub password_env: Option<String>,
    /// The TLS options.
    pub tls_config: Option<TlsOptions>,
    /// The IP protocol to try first.
    pub preferred_ip_protocol: Option<IpProtocol>,
    /// Whether to try the other IP protocol as well.
    pub ip_protocol_fallback: Option<bool>,
}

/// A server with its credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisServer {
    /// The scheme of the URL.
    pub scheme: &'static str,
    /// The endpoint.
    pub endpoint: RedisEndpoint,
    /// The user; `None` for the server's `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretSource>,
    /// The number of the database.
    pub database: u32,
}

/// The endpoint of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisEndpoint {
    /// A host.
    Host {
        /// The host.
        address: HostPort,
        /// The addresses of the host to try.
        preference: AddressPreference,
        /// The TLS settings; `None` without TLS.
        tls: Option<TlsSettings>,
    },
    /// A Unix socket.
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
    /// Resolves the options of the mapping at `place`. `key` is the key of the URL.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(options: ServerOptions, key: &str, place: &Place<'_>) -> Result<Self, Invalid> {
        let at_url = place.field(key);
        let url = parse_url(&options.url, &at_url);
        let given = SecretSource::from_keys(
            place,
            "password",
            options.password,
            options.password_file,
            options.password_env,
        );
        let tls = options
            .tls_config
            .clone()
            .unwrap_or_default()
            .resolve(&place.field("tls_config"));
        let (url, given, tls) = (url?, given?, tls?);
        let is_tls = matches!(url.scheme, "rediss" | "valkeys");
        if options.tls_config.is_some() && !is_tls {
            let message = format!("tls_config needs TLS: write rediss:// (or valkeys://) in {key}");
            return Err(place.field("tls_config").error(message));
        }
        let twice = |what| at_url.error(format_args!("the {what} is given twice: remove it from the URL"));
        let password = match (url.password, given) {
            (Some(_), Some(_)) => return Err(twice("password")),
            (url, given) => given.or(url),
        };
        let username = match (url.username, options.username) {
            (Some(_), Some(_)) => return Err(twice("user")),
            (url, given) => given.or(url),
        };
        if username.is_some() && password.is_none() {
            let message = "the password of the user is missing: add password_file or password_env (if the user in \
                           the URL is meant as the password, write redis://:password@host)";
            return Err(at_url.error(message));
        }
        let endpoint = match url.address {
            Ok(address) => RedisEndpoint::Host {
                address,
                preference: AddressPreference::new(
                    options.preferred_ip_protocol,
                    options.ip_protocol_fallback,
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

    /// `scheme://host:port/database`, or the Unix socket, without credentials.
    pub fn target(&self) -> String {
        match &self.endpoint {
            RedisEndpoint::Host { address, .. } => format!("{}://{address}/{}", self.scheme, self.database),
            RedisEndpoint::Unix(path) => format!("{}://{}", self.scheme, path.display()),
        }
    }
}

fn parse_url(text: &str, place: &Place<'_>) -> Result<Parts, Invalid> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if let Some(scheme) = UNIX_SCHEMES.into_iter().find(|known| scheme == Some(known)) {
        return parse_unix(text, scheme, place);
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

fn parse_unix(text: &str, scheme: &'static str, place: &Place<'_>) -> Result<Parts, Invalid> {
    let wrong = |what| place.error(format_args!("{what}: write a URL such as {EXAMPLE}"));
    let url = Url::parse(text).map_err(|_| wrong("not the URL of a Unix socket"))?;
    if url.has_host() && !url.host_str().unwrap_or_default().is_empty() {
        return Err(wrong("a Unix socket needs three slashes after the scheme"));
    }
    let path: Vec<u8> = percent_decode_str(url.path()).collect();
    if path.len() < 2 {
        return Err(wrong("the URL has no path"));
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

/// Resolves the number of the database, from the path or from `db` in the query.
fn database(path: Option<&str>, query: &[(String, String)], place: &Place<'_>) -> Result<u32, Invalid> {
    let mut number = path;
    for (key, value) in query {
        // The query is not quoted: some clients accept a password there.
        if !matches!(key.as_str(), "db" | "virtual_host") {
            return Err(
                place.error("the query of the URL is not supported: use db only, and keys of the check")
            );
        }
        if number.replace(value).is_some() {
            return Err(place.error("the database is given twice: remove one of the numbers"));
        }
    }
    match number.map(str::parse) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(place.error(
            "the database is not a number: write a number after the host, such as redis://cache:6379/0",
        )),
    }
}
