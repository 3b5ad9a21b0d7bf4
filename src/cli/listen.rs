//! Listen addresses as exporters take them: `:10100`, `127.0.0.1:10100`, `[::1]:10100`, `localhost:10100`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address without brackets; `None` for every address of the machine.
    host: Option<String>,
    port: u16,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not [HOST]:PORT; write :10100, 127.0.0.1:10100 or [::1]:10100");
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
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port,
        })
    }
}

impl ListenAddress {
    /// Opens the socket, not blocking. Without a host: both IP versions where the machine has both.
    ///
    /// # Errors
    /// When the name does not resolve or the address can't be bound.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let listener = match &self.host {
            Some(host) => {
                TcpListener::bind(&*(host.as_str(), self.port).to_socket_addrs()?.collect::<Vec<_>>())?
            }
            None => TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port)))
                .or_else(|_| TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port))))?,
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_exporters_take_and_writes_it_back() {
        for text in [":10100", "127.0.0.1:1", "[::1]:65535", "localhost:0"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn says_what_would_be_right() {
        for text in ["", "10100", "::1:1", "[::1]", "[x]:1", "a b:1", ":65536", ":-1"] {
            assert!(
                text.parse::<ListenAddress>()
                    .unwrap_err()
                    .contains("write :10100"),
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_host_both_ip_versions_are_served() {
        let listener = ":0".parse::<ListenAddress>().unwrap().bind().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
