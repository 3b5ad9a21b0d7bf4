//! Connects to a target through a SOCKS5 proxy (RFC 1928), with a user name and a password if configured (RFC 1929).

use std::io;

use tokio_socks::Error;
use tokio_socks::tcp::Socks5Stream;

use super::stream::ProxyStream;
use crate::config::address::HostPort;
use crate::config::http::{Credentials, ProxyServer};
use crate::config::secret::{Secret, SecretError};
use crate::config::zone;
use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage};

/// Turns a connection to a proxy into one to the target.
///
/// # Errors
/// Why the proxy does not connect. The reason is `auth` for credentials; `refused` and `unreachable` if the target is, for the
/// proxy; and `status` for its other errors.
pub async fn connect(
    stream: ProxyStream,
    proxy: &ProxyServer,
    target: &HostPort,
) -> Result<ProxyStream, Problem> {
    let host = (zone::without_zone(&target.host), target.port);
    let connected = match socks_login(proxy)? {
        None => Socks5Stream::connect_with_socket(stream, host).await,
        Some((name, password)) => {
            let (name, password) = (name.unhidden(), password.expose());
            Socks5Stream::connect_with_password_and_socket(stream, host, name, password).await
        }
    };
    connected
        .map(Socks5Stream::into_inner)
        .map_err(|error| problem(&error, proxy, target))
}

/// The user name and the password for a SOCKS proxy.
///
/// # Errors
/// With the reason `auth` if one can't be read.
pub fn socks_login(proxy: &ProxyServer) -> Result<Option<(Secret, Secret)>, Problem> {
    let unreadable = |error: SecretError| shortage::problem(Reason::Auth, &error, &error);
    match &proxy.credentials {
        Some(Credentials::Basic {
            username,
            password: Some(password),
        }) => {
            let name = username.read_name().map_err(unreadable)?;
            Ok(Some((name, password.read_line().map_err(unreadable)?)))
        }
        _ => Ok(None),
    }
}

fn problem(error: &Error, proxy: &ProxyServer, target: &HostPort) -> Problem {
    let address = &proxy.address;
    let failed = |reason, what: &dyn std::fmt::Display| {
        Problem::new(
            reason,
            format_args!("connecting to {target} through the proxy {address}: {what}"),
        )
    };
    let (reason, what) = match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            (Reason::Closed, "it closed the connection without a response")
        }
        Error::Io(error) => {
            let message = format_args!("connecting to {target} through the proxy {address}: {error}");
            return io_error::problem(error, message);
        }
        Error::NoAcceptableAuthMethods | Error::UnknownAuthMethod | Error::AuthorizationRequired
            if proxy.credentials.is_none() =>
        {
            (
                Reason::Auth,
                "it requires credentials: write user:password@ in proxy_url",
            )
        }
        Error::NoAcceptableAuthMethods | Error::UnknownAuthMethod | Error::AuthorizationRequired => {
            (Reason::Auth, "it accepts no user name and password")
        }
        Error::PasswordAuthFailure(_) | Error::InvalidAuthValues(_) => {
            (Reason::Auth, "it refused the credentials")
        }
        Error::ConnectionRefused => (Reason::Refused, "the target refused its connection"),
        Error::HostUnreachable => (
            Reason::Unreachable,
            "it can't reach the host, or can't resolve its name",
        ),
        Error::NetworkUnreachable => (Reason::Unreachable, "it can't reach the network of the target"),
        Error::TtlExpired => (Reason::Unreachable, "it can't reach the target (TTL expired)"),
        Error::GeneralSocksServerFailure => (Reason::Status, "it reported a general failure"),
        Error::ConnectionNotAllowedByRuleset => (Reason::Status, "its rules do not allow the target"),
        Error::CommandNotSupported => (Reason::Status, "it does not support CONNECT"),
        Error::AddressTypeNotSupported => (Reason::Status, "it does not support this type of address"),
        Error::InvalidTargetAddress(_) => (Reason::Protocol, "SOCKS5 does not support such a long name"),
        other => {
            return failed(
                Reason::Protocol,
                &format_args!("its response is not SOCKS5 ({other})"),
            );
        }
    };
    failed(reason, &what)
}
