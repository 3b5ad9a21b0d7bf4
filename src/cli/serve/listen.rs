//! Parses and opens listen addresses: `:10100`, `127.0.0.1:10100`, `[::1]:10100`, `localhost:10100`, and
//! `unix:/run/upkeep_exporter/web.sock`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use crate::socket_file::{SocketError, SocketFile};
use crate::web::Listener;

/// The mode of Unix sockets: the exporter's user and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port.
    Tcp {
        /// A name, or an address without brackets. `None` for all addresses of the machine.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!(
                    "\"{text}\" is not an absolute path; write for example unix:/run/upkeep_exporter/web.sock"
                ))
            };
        }
        let wrong = || {
            format!(
                "\"{text}\" is not [HOST]:PORT; write :10100, 127.0.0.1:10100 or [::1]:10100, or unix:/PATH for a Unix socket"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address
                .parse::<Ipv6Addr>()
                .map(|_| address)
                .map_err(|_| wrong())?,
            None if host.contains(':') || host.chars().any(char::is_whitespace) => return Err(wrong()),
            None => host,
        };
        Ok(Self::Tcp {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port,
        })
    }
}

impl ListenAddress {
    /// Opens the socket in the current runtime.
    ///
    /// # Errors
    /// When the name does not resolve, the address can't be bound, or the path of a Unix socket is in use.
    pub fn bind(&self) -> Result<Listener, SocketError> {
        match self {
            Self::Tcp { host, port } => {
                let listener = bind_tcp(host.as_deref(), *port)?;
                listener.set_nonblocking(true)?;
                Ok(tokio::net::TcpListener::from_std(listener)?.into())
            }
            Self::Unix(path) => {
                let (listener, file) = SocketFile::bind(path, SOCKET_MODE)?;
                Ok(Listener::Unix(
                    tokio::net::UnixListener::from_std(listener)?,
                    Some(file),
                ))
            }
        }
    }
}

/// Binds a TCP socket. Without a host, it serves both IP versions if the machine has both.
fn bind_tcp(host: Option<&str>, port: u16) -> io::Result<TcpListener> {
    match host {
        Some(host) => TcpListener::bind(&*(host, port).to_socket_addrs()?.collect::<Vec<_>>()),
        None => TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
            .or_else(|_| TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))),
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp {
                host: Some(host),
                port,
            } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            Self::Tcp { host: None, port } => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_displayed() {
        for text in [
            ":10100",
            "127.0.0.1:1",
            "[::1]:65535",
            "localhost:0",
            "unix:/run/x",
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_show_a_valid_address() {
        for text in ["", "10100", "::1:1", "[::1]", "[x]:1", "a b:1", ":65536", ":-1"] {
            assert!(
                text.parse::<ListenAddress>()
                    .unwrap_err()
                    .contains("write :10100"),
                "{text}"
            );
        }
        for text in ["unix:", "unix:x"] {
            assert!(
                text.parse::<ListenAddress>()
                    .unwrap_err()
                    .contains("write for example unix:/"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_host_both_ip_versions_are_served() {
        let listener = ":0".parse::<ListenAddress>().unwrap().bind().unwrap();
        let port = listener.port().unwrap();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    #[tokio::test]
    async fn the_error_of_a_taken_port_names_its_cause_once() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken
            .local_addr()
            .unwrap()
            .to_string()
            .parse::<ListenAddress>()
            .unwrap();
        let error = anyhow::Error::from(address.bind().err().unwrap());
        assert_eq!(format!("{error:#}"), "Address already in use (os error 98)");
    }
}
