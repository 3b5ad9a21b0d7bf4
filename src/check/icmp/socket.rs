//! A socket for one echo request: an unprivileged one where the system allows it (icmp(7), ping_group_range), or else a raw
//! one, which needs CAP_NET_RAW. It is polled in the run's task, so a run that is cancelled frees it at once.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    connect, recvmsg, send, setsockopt, socket, sockopt,
};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::packet::{Echo, Version, behind_ip_header};
use crate::config::icmp::IcmpSettings;
use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage};

/// Room for a packet with its header: 65535 bytes at most.
const MAX_PACKET: usize = 1 << 16;

/// How many errors a run with a raw socket passes over.
const MAX_FOREIGN_ERRORS: u32 = 64;

/// What to do where neither kind of socket is allowed.
const ADVICE: &str = "let the exporter send pings: set the sysctl net.ipv4.ping_group_range so that its group is within \
     (\"0 2147483647\" for all), or give it CAP_NET_RAW (AmbientCapabilities=CAP_NET_RAW in its unit)";

/// A socket that is connected to one host.
#[derive(Debug)]
pub struct EchoSocket {
    /// The runtime has no type for sockets of other protocols. Of this one only the readiness is used, which is the same for
    /// all that carry datagrams.
    socket: UdpSocket,
    peer: IpAddr,
    version: Version,
    is_raw: bool,
}

impl EchoSocket {
    /// A socket for a request to this address.
    ///
    /// # Errors
    /// `permission` where the system allows neither kind of socket; or why this one can't be used.
    pub fn open(address: SocketAddr, settings: &IcmpSettings) -> Result<Self, Problem> {
        let peer = address.ip();
        let version = match peer {
            IpAddr::V4(_) => Version::V4,
            IpAddr::V6(_) => Version::V6,
        };
        let (socket, is_raw) = match create(version, SockType::Datagram) {
            Ok(socket) => (socket, false),
            // Which of them tells that pings are not allowed depends on the reason.
            Err(Errno::EACCES | Errno::EPERM | Errno::EPROTONOSUPPORT) => {
                let raw = create(version, SockType::Raw).map_err(|error| match error {
                    Errno::EACCES | Errno::EPERM => Problem::new(
                        Reason::Permission,
                        format_args!("opening a socket for ICMP: {}: {ADVICE}", error.desc()),
                    ),
                    other => failed(peer, &other.into()),
                })?;
                (raw, true)
            }
            Err(error) => return Err(failed(peer, &error.into())),
        };
        let socket = shortage::keep_reserve(socket).map_err(|error| failed(peer, &error))?;
        set_up(&socket, version, is_raw, settings)
            .and_then(|()| bind_to(&socket, settings.source))
            .and_then(|()| {
                let address = SockaddrStorage::from(address);
                Ok(connect(socket.as_raw_fd(), &address)?)
            })
            .map_err(|error| failed(peer, &error))?;
        let socket = UdpSocket::from_std(socket.into()).map_err(|error| failed(peer, &error))?;
        Ok(Self {
            socket,
            peer,
            version,
            is_raw,
        })
    }

    /// Sends the request, and waits for its reply; the hop limit that this arrived with. What else comes does not count.
    ///
    /// # Errors
    /// What the network says instead: that there is no way to the host, or that the packet is too large.
    pub async fn exchange(&self, echo: &Echo) -> Result<Option<u8>, Problem> {
        self.send(&echo.request(self.version))
            .await
            .map_err(|error| failed(self.peer, &error))?;
        let mut packet = vec![0; MAX_PACKET];
        let mut foreign_errors = 0;
        loop {
            let (length, hop_limit) = match self.receive(&mut packet).await {
                Ok(received) => received,
                // A raw socket is told what routers say of anybody's requests to the host, a traceroute's, say.
                Err(_) if self.is_raw && foreign_errors < MAX_FOREIGN_ERRORS => {
                    foreign_errors += 1;
                    continue;
                }
                Err(error) => return Err(failed(self.peer, &error)),
            };
            let received = packet.get(..length).unwrap_or(&[]);
            let message = match (self.is_raw, self.version) {
                (true, Version::V4) => behind_ip_header(received),
                _ => Some(received),
            };
            if message.is_some_and(|message| echo.is_answered_by(message, self.version, self.is_raw)) {
                return Ok(hop_limit);
            }
        }
    }

    async fn send(&self, packet: &[u8]) -> io::Result<()> {
        let send = || Ok(send(self.socket.as_raw_fd(), packet, MsgFlags::empty())?);
        self.socket.async_io(Interest::WRITABLE, send).await.map(|_| ())
    }

    async fn receive(&self, packet: &mut [u8]) -> io::Result<(usize, Option<u8>)> {
        let fd = self.socket.as_raw_fd();
        self.socket
            .async_io(Interest::READABLE | Interest::ERROR, || receive(fd, packet))
            .await
    }
}

fn create(version: Version, kind: SockType) -> nix::Result<OwnedFd> {
    let (family, protocol) = match version {
        Version::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Version::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    socket(
        family,
        kind,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        protocol,
    )
}

fn set_up(socket: &OwnedFd, version: Version, is_raw: bool, settings: &IcmpSettings) -> io::Result<()> {
    let ttl = settings.ttl.map(i32::from);
    // What routers say about this request ends the wait.
    let hears_routers = !is_raw;
    match version {
        Version::V4 => {
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
            setsockopt(socket, sockopt::Ipv4RecvErr, &hears_routers)?;
            if let Some(ttl) = ttl {
                setsockopt(socket, sockopt::Ipv4Ttl, &ttl)?;
            }
            if settings.dont_fragment {
                set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
            }
        }
        Version::V6 => {
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
            setsockopt(socket, sockopt::Ipv6RecvErr, &hears_routers)?;
            if let Some(ttl) = ttl {
                setsockopt(socket, sockopt::Ipv6Ttl, &ttl)?;
            }
            if settings.dont_fragment {
                set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?;
            }
        }
    }
    Ok(())
}

fn bind_to(socket: &OwnedFd, source: Option<IpAddr>) -> io::Result<()> {
    let Some(source) = source else { return Ok(()) };
    let address = SockaddrStorage::from(SocketAddr::new(source, 0));
    bind(socket.as_raw_fd(), &address).map_err(|error| io_error::explain_bind(source, error.into()))
}

fn receive(socket: RawFd, packet: &mut [u8]) -> io::Result<(usize, Option<u8>)> {
    let mut parts = [IoSliceMut::new(packet)];
    let mut control = nix::cmsg_space!(i32);
    let received = recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut told = received.cmsgs()?.filter_map(|message| match message {
        ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
            u8::try_from(hops).ok()
        }
        _ => None,
    });
    let hop_limit = told.next();
    Ok((received.bytes, hop_limit))
}

/// What an error of the socket means; some of them are what routers, or this machine, say of the request.
fn failed(peer: IpAddr, error: &io::Error) -> Problem {
    let advice = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMSGSIZE) => {
            let message = format_args!(
                "pinging {peer}: the request is too large for a link on the way: lower payload_size, or remove \
                 dont_fragment"
            );
            return Problem::new(Reason::Limit, message);
        }
        Some(Errno::EACCES | Errno::EPERM) => ": a firewall of this machine, or a broadcast address?",
        Some(Errno::EHOSTUNREACH) => {
            ": the host does not answer on its network, or the request used up its ttl"
        }
        _ => "",
    };
    io_error::connect_problem(
        SocketAddr::new(peer, 0),
        error,
        format_args!("pinging {peer}: {error}{advice}"),
    )
}
