//! Lists sockets with sock_diag(7). The kernel filters them by state and port.

use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use super::message::{Progress, Query, parse};
use super::socket::Socket;

/// The size of the receive buffer. The kernel sends at most 32 KiB at once (netlink_dump in net/netlink/af_netlink.c).
const BUFFER_BYTES: usize = 64 * 1024;

/// How long the kernel may take for one datagram. It needs milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to the kernel.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a connection.
    ///
    /// # Errors
    /// EAFNOSUPPORT if the exporter's unit does not allow AF_NETLINK, EPROTONOSUPPORT if the kernel does not have sock_diag.
    pub fn open() -> Result<Self, Errno> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Calls `visit` with every socket that meets `query`.
    ///
    /// # Errors
    /// ENOENT if the kernel lacks the module for this protocol. Otherwise the system's error.
    pub fn list(&mut self, query: &Query, mut visit: impl FnMut(Socket)) -> Result<(), Errno> {
        // Without an address, the kernel is the receiver.
        send(&self.socket, &query.encode(), SendFlags::empty())?;
        loop {
            let (length, size) =
                retry_on_intr(|| recv(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC))?;
            if size > length {
                return Err(Errno::MSGSIZE);
            }
            match parse(&self.buffer[..length], query.protocol, &mut visit)? {
                Progress::More => {}
                Progress::Done => return Ok(()),
            }
        }
    }
}
