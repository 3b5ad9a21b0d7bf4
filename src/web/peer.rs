//! The address that a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address that a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// A client with this address.
    Ip(IpAddr),
    /// A process on this machine, over a Unix socket.
    Local,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.to_canonical().fmt(f),
            Self::Local => f.write_str("a process on this machine"),
        }
    }
}

impl Peer {
    /// Returns the address of the origin; `None` for Unix sockets.
    pub fn address(self) -> Option<IpAddr> {
        match self.origin() {
            Self::Ip(address) => Some(address),
            Self::Local => None,
        }
    }

    /// Returns the part of the address that a client can't easily change: for IPv6, its /64 network (RFC 4291, section 2.5.1).
    /// A socket that serves both families reports IPv4 addresses as IPv6 ones; the origin is the IPv4 address.
    pub fn origin(self) -> Self {
        match self {
            Self::Local => Self::Local,
            Self::Ip(address) => match address.to_canonical() {
                IpAddr::V4(address) => Self::Ip(address.into()),
                IpAddr::V6(address) => {
                    let network = address.to_bits() & !u128::from(u64::MAX);
                    Self::Ip(Ipv6Addr::from_bits(network).into())
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Peer {
        Peer::Ip(text.parse().unwrap())
    }

    #[test]
    fn an_origin_is_an_ipv4_address_or_an_ipv6_network() {
        for (first, same, other) in [
            (ip("192.0.2.1"), ip("::ffff:192.0.2.1"), ip("192.0.2.2")),
            (
                ip("2001:db8::1"),
                ip("2001:db8::ffff:0:0:9"),
                ip("2001:db8:0:1::1"),
            ),
            (Peer::Local, Peer::Local, ip("127.0.0.1")),
        ] {
            assert_eq!(first.origin(), same.origin());
            assert_ne!(first.origin(), other.origin());
        }
    }
}
