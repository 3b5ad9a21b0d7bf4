//! The URL of a database, as libpq reads it (PostgreSQL's documentation, "Connection URIs"). An option that is not
//! supported is an error that names it: ignored, it would mean something else than in psql.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;

use super::options::Options;
use crate::config::address::HostPort;
use crate::config::place::{Invalid, Place};
use crate::config::secret::{Secret, SecretSource};
use crate::config::server_url::ServerUrl;
use crate::config::tls::{ClientCertificate, PemError, PemSource, TlsSettings, private_key};

/// What is shown where a URL is wrong.
pub const EXAMPLE: &str = "postgres://app@db:5432/app?sslmode=require";
const PORT: u16 = 5432;
const SCHEMES: &[(&str, u16)] = &[("postgres", PORT), ("postgresql", PORT)];
/// Stands where a URL has no host, until the option `host` gives one: a URL with a user and without a host is none.
const NO_HOST: &str = "no-host.invalid";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// At a host.
    Host(HostPort),
    /// At a Unix socket.
    Unix {
        /// The folder that holds the socket.
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
    /// Only where the server insists.
    Allow,
    /// Where the server can.
    #[default]
    Prefer,
    /// Always. How far certificates are verified is said by the TLS settings.
    Require,
}

/// What the session must be able to do; libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionAttributes {
    /// Nothing special.
    #[default]
    Any,
    /// Write by default.
    ReadWrite,
    /// Not write by default.
    ReadOnly,
    /// Talk to a server that is not in recovery.
    Primary,
    /// Talk to one that is.
    Standby,
}

impl SessionAttributes {
    const WORDS: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        // Of one server, a standby is preferred to nothing.
        ("prefer-standby", Self::Any),
    ];
}

/// A database and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibpqUrl {
    /// Where the server is.
    pub address: ServerAddress,
    /// The role to log in as.
    pub user: String,
    /// The database; the one named as the role where absent.
    pub database: Option<String>,
    /// Whether TLS is used.
    pub ssl_mode: SslMode,
    /// How it is done.
    pub tls: TlsSettings,
    /// What the server's list of sessions shows.
    pub application_name: String,
    /// Command-line options for the session.
    pub options: Option<String>,
    /// What the session must be able to do.
    pub session: SessionAttributes,
}

/// Without the user and the options: nothing of it is secret.
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

/// Reads a URL; also its parts as they are written, for the password.
///
/// # Errors
/// Reported at `place`, without a value that may be secret.
pub fn parse(text: &str, place: &Place<'_>) -> Result<(LibpqUrl, ServerUrl), Invalid> {
    let text = with_host(text, place)?;
    let mut url = ServerUrl::parse(&text, SCHEMES, EXAMPLE, place)?;
    let mut options = Options::read(std::mem::take(&mut url.query), place)?;
    if let Some(password) = options.take("password") {
        url.password = Some(Secret::new(password));
    }
    let address = address(&url, &mut options, place);
    let user = options
        .take("user")
        .or_else(|| url.user.clone())
        .ok_or_else(|| place.error(format_args!("the URL has no user: write one such as {EXAMPLE}")));
    let session = options.word("target_session_attrs", &SessionAttributes::WORDS, place);
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
        return Err(place.error("the URL holds a zero byte (%00): remove it"));
    }
    Ok((parsed, url))
}

/// The same URL in a form that other parsers read alike: with a host, and with plus signs that stay plus signs.
fn with_host(text: &str, place: &Place<'_>) -> Result<String, Invalid> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text.to_owned());
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.contains(',') {
        return Err(place.error("the URL names several hosts: write one check for each server"));
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
        Some(_) => return Err(place.error("port must be a number between 1 and 65535")),
    };
    let host = options.take("host").unwrap_or_else(|| url.address.host.clone());
    if host.starts_with('/') {
        let folder = host.into();
        return Ok(ServerAddress::Unix { folder, port });
    }
    if host == NO_HOST || host.is_empty() {
        return Err(place.error(format_args!(
            "the URL has no host: write one such as {EXAMPLE}, or for a Unix socket \
             postgres://app@/app?host=/run/postgresql"
        )));
    }
    if host.contains(',') {
        return Err(place.error("the URL names several hosts: write one check for each server"));
    }
    Ok(ServerAddress::Host(HostPort { host, port }))
}

/// What TLS is to be, of `sslmode` and the files. With authorities given, every mode verifies the chain, as libpq does.
fn tls(options: &mut Options, place: &Place<'_>) -> Result<(SslMode, TlsSettings), Invalid> {
    const MODES: [(&str, (SslMode, bool, bool)); 6] = [
        ("prefer", (SslMode::Prefer, false, false)),
        ("disable", (SslMode::Disable, false, false)),
        ("allow", (SslMode::Allow, false, false)),
        ("require", (SslMode::Require, false, false)),
        ("verify-ca", (SslMode::Require, true, false)),
        ("verify-full", (SslMode::Require, true, true)),
    ];
    let mode = options.word("sslmode", &MODES, place);
    let root = options.take("sslrootcert");
    let is_system = root.as_deref() == Some("system");
    let ca = root
        .filter(|_| !is_system)
        .map(|path| PemSource::File(path.into()));
    let failed = |key: &str, error: PemError| place.error(format_args!("{key}: {error}"));
    let read = |key: &str, source: &PemSource| -> Result<Vec<CertificateDer<'static>>, Invalid> {
        source.certificates().map_err(|error| failed(key, error))
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
            let key = private_key(&client.key).map_err(|error| failed("sslkey", error));
            chain.and(key).map(|_| Some(client))
        }
        (Some(_), None) => Err(place.error("sslcert needs its private key: add sslkey")),
        (None, Some(_)) => Err(place.error("sslkey needs its certificate: add sslcert")),
    };
    let (mode, verifies_chain, verifies_name) = mode?;
    if is_system && !verifies_name {
        return Err(place
            .error("sslrootcert=system needs sslmode=verify-full: anybody can get a certificate of these"));
    }
    if verifies_chain && !verifies_name && ca.is_none() {
        return Err(place
            .error("sslmode=verify-ca needs the authority to trust: add sslrootcert, or write verify-full"));
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
