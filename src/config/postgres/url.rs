//! The URL of a database with libpq's syntax (PostgreSQL's documentation, "Connection URIs"). Unsupported options are errors: if
//! they were ignored, the URL would have another meaning than in psql.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::options::Options;
use crate::config::address::HostPort;
use crate::config::place::{Invalid, Place};
use crate::config::regular_file::ReadError;
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::{ClientCertificate, PemError, PemSource, TlsSettings, private_key};

/// An example for errors.
pub const EXAMPLE: &str = "postgres://app@db:5432/app?sslmode=require";
const PORT: u16 = 5432;
const SCHEMES: &[(&str, u16)] = &[("postgres", PORT), ("postgresql", PORT)];
/// The placeholder for a missing host, until the option `host` sets one. URLs with a user must have a host.
const NO_HOST: &str = "no-host.invalid";

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host.
    Host(HostPort),
    /// A Unix socket.
    Unix {
        /// The folder of the socket.
        folder: PathBuf,
        /// The number in its name.
        port: u16,
    },
}

/// Whether TLS is used; libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server requires it.
    Allow,
    /// If the server supports it.
    #[default]
    Prefer,
    /// Always. The TLS settings decide how certificates are verified.
    Require,
}

/// The required attributes of a session; libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionAttributes {
    /// No requirement.
    #[default]
    Any,
    /// Transactions are read-write by default.
    ReadWrite,
    /// Transactions are read-only by default.
    ReadOnly,
    /// The server is not in recovery.
    Primary,
    /// The server is in recovery.
    Standby,
}

impl SessionAttributes {
    const WORDS: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        // With one server, there is nothing to prefer.
        ("prefer-standby", Self::Any),
    ];
}

/// A database and its connection options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibpqUrl {
    /// The address of the server.
    pub address: ServerAddress,
    /// The role to log in as.
    pub user: String,
    /// The database; `None` for the one with the name of the role.
    pub database: Option<String>,
    /// Whether TLS is used.
    pub ssl_mode: SslMode,
    /// The TLS settings.
    pub tls: TlsSettings,
    /// The name in the server's list of sessions.
    pub application_name: String,
    /// Command-line options for the session.
    pub options: Option<String>,
    /// The required attributes of the session.
    pub session: SessionAttributes,
}

/// The URL without the user and the options, so without secrets.
impl fmt::Display for LibpqUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            ServerAddress::Host(address) => write!(f, "postgres://{address}")?,
            ServerAddress::Unix { folder, port } => {
                let folder = folder.to_string_lossy();
                write!(
                    f,
                    "postgres://{}:{port}",
                    utf8_percent_encode(&folder, NON_ALPHANUMERIC)
                )?;
            }
        }
        self.database
            .as_ref()
            .map_or(Ok(()), |database| write!(f, "/{database}"))
    }
}

/// Parses a URL. Also returns its parts, for the password.
///
/// # Errors
/// Reported at `place`, without values that may be secret.
pub fn parse(text: &str, place: &Place<'_>) -> Result<(LibpqUrl, ServerUrl), Invalid> {
    let text = with_host(text, place)?;
    let mut url = ServerUrl::parse(&text, SCHEMES, EXAMPLE, place)?;
    let mut options = Options::resolve(std::mem::take(&mut url.query), place)?;
    if let Some(password) = options.take("password") {
        url.password = Some(Secret::new(password));
    }
    let address = address(&url, &mut options, place);
    let user = options
        .take("user")
        .or_else(|| url.user.clone())
        .ok_or_else(|| place.error(format_args!("the URL has no user: write a URL such as {EXAMPLE}")));
    let session = options.take_word("target_session_attrs", &SessionAttributes::WORDS, place);
    let tls = tls(&mut options, place);
    let (ssl_mode, tls) = tls?;
    let database = options.take("dbname").or_else(|| url.path.clone());
    let parsed = LibpqUrl {
        address: address?,
        user: user?,
        database: database.filter(|name| !name.is_empty()),
        ssl_mode,
        tls,
        application_name: options
            .take("application_name")
            .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()),
        options: options.take("options"),
        session: session?,
    };
    let texts = [&parsed.user, &parsed.application_name];
    let optional = [&parsed.database, &parsed.options];
    if texts
        .into_iter()
        .chain(optional.into_iter().flatten())
        .any(|text| text.contains('\0'))
    {
        return Err(place.error("the URL contains a zero byte (%00): remove it"));
    }
    Ok((parsed, url))
}

/// Rewrites a URL for parsers other than libpq's: adds a missing host, and encodes plus signs, which mean no space here.
fn with_host(text: &str, place: &Place<'_>) -> Result<String, Invalid> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text.to_owned());
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.contains(',') {
        return Err(place.error("the URL has several hosts: write one check per server"));
    }
    let host = match host.is_empty() || host.starts_with(':') {
        true => format!("{NO_HOST}{host}"),
        false => host.to_owned(),
    };
    let at = if user.is_empty() { "" } else { "@" };
    let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
    Ok(format!(
        "{scheme}://{user}{at}{host}{path}{}",
        query.replace('+', "%2B")
    ))
}

fn address(url: &ServerUrl, options: &mut Options, place: &Place<'_>) -> Result<ServerAddress, Invalid> {
    let port = match options.take("port").map(|port| port.parse()) {
        None => url.address.port,
        Some(Ok(port)) if port != 0 => port,
        Some(_) => return Err(place.error("the port is not valid: write 1 to 65535")),
    };
    let host = options.take("host").unwrap_or_else(|| url.address.host.clone());
    if host.starts_with('/') {
        let folder = host.into();
        return Ok(ServerAddress::Unix { folder, port });
    }
    if host == NO_HOST || host.is_empty() {
        return Err(place.error(format_args!(
            "the URL has no host: write a URL such as {EXAMPLE}, or postgres://app@/app?host=/run/postgresql for a \
             Unix socket"
        )));
    }
    if host.contains(',') {
        return Err(place.error("the URL has several hosts: write one check per server"));
    }
    Ok(ServerAddress::Host(HostPort { host, port }))
}

/// The file of an option of the URL can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {error}")]
struct OptionError {
    key: &'static str,
    error: PemError,
}

impl ReadError for OptionError {
    fn is_unreadable(&self) -> bool {
        self.error.is_unreadable()
    }
}

/// Resolves the TLS options. If certificate authorities are given, every mode verifies the chain, as in libpq.
fn tls(options: &mut Options, place: &Place<'_>) -> Result<(SslMode, TlsSettings), Invalid> {
    const MODES: [(&str, (SslMode, bool, bool)); 6] = [
        ("prefer", (SslMode::Prefer, false, false)),
        ("disable", (SslMode::Disable, false, false)),
        ("allow", (SslMode::Allow, false, false)),
        ("require", (SslMode::Require, false, false)),
        ("verify-ca", (SslMode::Require, true, false)),
        ("verify-full", (SslMode::Require, true, true)),
    ];
    let mode = options.take_word("sslmode", &MODES, place);
    let root = options.take("sslrootcert");
    let is_system = root.as_deref() == Some("system");
    let ca = root
        .filter(|_| !is_system)
        .map(|path| PemSource::File(path.into()));
    let read = |key, source: &PemSource| {
        let result = source.certificates().map_err(|error| OptionError { key, error });
        place.validate_reading(result)
    };
    let ca_read = ca.as_ref().map(|source| read("sslrootcert", source)).transpose();
    let client = match (options.take("sslcert"), options.take("sslkey")) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => {
            let client = ClientCertificate {
                chain: PemSource::File(chain.into()),
                key: SecretSource::File(key.into()),
            };
            let chain = read("sslcert", &client.chain);
            let key = private_key(&client.key).map_err(|error| OptionError { key: "sslkey", error });
            chain.and(place.validate_reading(key)).map(|()| Some(client))
        }
        (Some(_), None) => Err(place.error("sslcert needs its private key: add sslkey")),
        (None, Some(_)) => Err(place.error("sslkey needs its certificate: add sslcert")),
    };
    let (mode, verifies_chain, verifies_name) = mode?;
    if is_system && !verifies_name {
        return Err(place
            .error("sslrootcert=system needs sslmode=verify-full: any server can have a certificate of these authorities"));
    }
    if verifies_chain && !verifies_name && ca.is_none() {
        return Err(place
            .error("sslmode=verify-ca needs an authority to trust: add sslrootcert, or write verify-full"));
    }
    ca_read?;
    let settings = TlsSettings {
        insecure_skip_verify: !verifies_chain && ca.is_none(),
        chain_only: !verifies_name,
        ca,
        client: client?,
        ..TlsSettings::default()
    };
    Ok((mode, settings))
}
