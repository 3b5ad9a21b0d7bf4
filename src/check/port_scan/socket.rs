//! A local socket, and the processes that hold it.

use std::fmt;
use std::net::IpAddr;

use crate::config::port::Protocol;

/// A socket that is bound to a local port. Facts that the kernel does not report are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its protocol.
    pub protocol: Protocol,
    /// The local address. IPv4 addresses within IPv6 are IPv4 addresses here.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// The number that identifies it among all sockets.
    pub inode: u64,
    /// The user who opened it.
    pub user: u32,
    /// Whether anyone can send to it: it listens (TCP), or it is not connected to a peer (UDP).
    pub is_open: bool,
    /// Whether a socket on the IPv6 wildcard address refuses IPv4.
    pub is_v6_only: Option<bool>,
    /// The id of the control group (v2) in which it was opened.
    pub cgroup: Option<u64>,
    /// How many connections wait to be accepted.
    pub waiting: Option<u32>,
    /// How many connections may wait to be accepted.
    pub backlog: Option<u32>,
}

impl fmt::Display for Socket {
    /// In the notation of ss(8): `tcp 0.0.0.0:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            address,
            port,
            ..
        } = self;
        match address {
            IpAddr::V4(address) => write!(f, "{protocol} {address}:{port}"),
            IpAddr::V6(address) => write!(f, "{protocol} [{address}]:{port}"),
        }
    }
}

/// A process with a descriptor of a socket. Facts that may not be read are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: i32,
    /// Its name, as in `comm`.
    pub name: Vec<u8>,
    /// The path of its executable.
    pub executable: Option<Vec<u8>>,
    /// The path of its control group.
    pub cgroup: Option<String>,
}

/// A socket and what is known about who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSocket {
    /// The socket.
    pub socket: Socket,
    /// The path of the control group in which it was opened.
    pub cgroup: Option<String>,
    /// The processes that hold it, in the order of their ids; at most [`super::MAX_HOLDERS`]. Empty if they were not searched,
    /// or can't be known.
    pub holders: Vec<Holder>,
}
