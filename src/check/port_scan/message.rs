//! Messages of the netlink protocol sock_diag(7): the request for a list of sockets, and the responses. The kernel's headers
//! are linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h. Numbers are in the host's byte order, addresses and ports in
//! the network's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use super::socket::Socket;
use crate::config::port::Protocol;

/// The size of a netlink header (`struct nlmsghdr`).
const HEADER_BYTES: usize = 16;
/// The size of a request (`struct inet_diag_req_v2`) with its header.
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
/// The size of a socket's description (`struct inet_diag_msg`), which attributes follow.
const SOCKET_BYTES: usize = 72;
/// The size of an attribute's header (`struct nlattr`).
const ATTRIBUTE_BYTES: usize = 4;

/// Types of messages.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_FLAGS: u16 = 0x301;

/// The highest error number (linux/err.h).
const MAX_ERRNO: i32 = 4095;

/// Attributes.
const SKV6ONLY: u16 = 11;
const CGROUP_ID: u16 = 21;

/// The states of sockets in the kernel (net/tcp_states.h). UDP uses two of them.
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
/// Bound, but neither listening nor connected. Older kernels than 6.8 ignore it.
const BOUND_INACTIVE: u8 = 13;

/// The version of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4 = 2,
    V6 = 10,
}

/// Which sockets to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub family: Family,
    pub protocol: Protocol,
    /// Only sockets with this local port.
    pub port: Option<u16>,
}

impl Query {
    /// Encodes the request. The kernel filters by state and port, so connections are not sent.
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let (protocol, states) = match self.protocol {
            Protocol::Tcp => (6, 1 << LISTEN | 1 << BOUND_INACTIVE),
            Protocol::Udp => (17, 1 << ESTABLISHED | 1 << CLOSE),
        };
        let mut bytes = [0; REQUEST_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &(REQUEST_BYTES as u32).to_ne_bytes());
        put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        put(6, &REQUEST_FLAGS.to_ne_bytes());
        put(16, &[self.family as u8, protocol]);
        put(20, &u32::to_ne_bytes(states));
        // Zero means any port.
        put(24, &self.port.unwrap_or(0).to_be_bytes());
        bytes
    }
}

/// Whether more messages follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    Done,
}

/// Parses one datagram of a response to a query about `protocol` and calls `visit` with every socket in it.
///
/// # Errors
/// The error that the kernel reports, or EBADMSG if the datagram is malformed.
pub fn parse(bytes: &[u8], protocol: Protocol, mut visit: impl FnMut(Socket)) -> Result<Progress, Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = read(rest, 0).map(u32::from_ne_bytes).ok_or(Errno::BADMSG)? as usize;
        let kind = read(rest, 4).map(u16::from_ne_bytes).ok_or(Errno::BADMSG)?;
        let body = rest.get(HEADER_BYTES..length).ok_or(Errno::BADMSG)?;
        match kind {
            // Both can contain a negative error number.
            DONE | ERROR => {
                let code = read(body, 0).map_or(0, i32::from_ne_bytes);
                return match code {
                    0 => Ok(Progress::Done),
                    code if (-MAX_ERRNO..0).contains(&code) => Err(Errno::from_raw_os_error(-code)),
                    _ => Err(Errno::BADMSG),
                };
            }
            SOCK_DIAG_BY_FAMILY => visit(parse_socket(body, protocol).ok_or(Errno::BADMSG)?),
            _ => {}
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    Ok(Progress::More)
}

fn parse_socket(body: &[u8], protocol: Protocol) -> Option<Socket> {
    let (fixed, attributes) = body.split_at_checked(SOCKET_BYTES)?;
    let number = |at| read(fixed, at).map(u32::from_ne_bytes);
    let state = fixed[1];
    let address: IpAddr = match fixed[0] {
        2 => Ipv4Addr::from(read::<4>(fixed, 8)?).into(),
        10 => Ipv6Addr::from(read::<16>(fixed, 8)?).into(),
        _ => return None,
    };
    let mut socket = Socket {
        protocol,
        address: address.to_canonical(),
        port: read(fixed, 4).map(u16::from_be_bytes)?,
        inode: u64::from(number(68)?),
        user: number(64)?,
        is_open: match protocol {
            Protocol::Tcp => state == LISTEN,
            Protocol::Udp => state == CLOSE,
        },
        is_v6_only: None,
        cgroup: None,
        waiting: (state == LISTEN).then_some(number(56)?),
        backlog: (state == LISTEN).then_some(number(60)?),
    };
    each_attribute(attributes, |kind, value| match kind {
        SKV6ONLY => socket.is_v6_only = value.first().map(|flag| *flag != 0),
        CGROUP_ID => socket.cgroup = read(value, 0).map(u64::from_ne_bytes),
        _ => {}
    });
    Some(socket)
}

/// Calls `visit` with the type and the value of every attribute up to the first one that is malformed.
fn each_attribute(bytes: &[u8], mut visit: impl FnMut(u16, &[u8])) {
    let mut rest = bytes;
    while let (Some(length), Some(kind)) = (read(rest, 0), read(rest, 2)) {
        let length = usize::from(u16::from_ne_bytes(length));
        let Some(value) = rest.get(ATTRIBUTE_BYTES..length) else {
            return;
        };
        visit(u16::from_ne_bytes(kind), value);
        rest = rest.get(align(length)..).unwrap_or_default();
    }
}

/// Messages and attributes start at multiples of four bytes.
const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests;
