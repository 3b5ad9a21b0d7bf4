//! A socket for one echo request: an unprivileged one if the system allows it (icmp(7), ping_group_range), otherwise a raw
//! one, which needs CAP_NET_RAW. It is polled in the run's task, so a cancelled run closes it at once.

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

use super::packet::{Echo, Version, skip_ip_header};
use crate::config::icmp::IcmpSettings;
use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage};

/// Room for a packet with its header: 65535 bytes at most.
const MAX_PACKET: usize = 1 << 16;

/// How many errors of other requests a run with a raw socket ignores.
const MAX_FOREIGN_ERRORS: u32 = 64;

/// What to do if neither kind of socket is allowed.
const ADVICE: &str = "allow the exporter to send pings: include its group in the sysctl net.ipv4.ping_group_range \
     (\"0 2147483647\" for all groups), or give it CAP_NET_RAW (AmbientCapabilities=CAP_NET_RAW in its unit)";

/// A socket that is connected to one host.
#[derive(Debug)]
pub struct EchoSocket {
    /// Only the readiness of this type is used, which is the same for all datagram sockets. The runtime has no type for ICMP
    /// sockets.
    socket: UdpSocket,
    peer: IpAddr,
    version: Version,
    is_raw: bool,
}

impl EchoSocket {
    /// Opens a socket for a request to this address.
    ///
    /// # Errors
    /// `permission` if the system allows neither kind of socket. Otherwise the reason why the socket can't be used.
    pub fn open(address: SocketAddr, settings: &IcmpSettings) -> Result<Self, Problem> {
        let peer = address.ip();
        let version = match peer {
            IpAddr::V4(_) => Version::V4,
            IpAddr::V6(_) => Version::V6,
        };
        let (socket, is_raw) = match create(version, SockType::Datagram) {
            Ok(socket) => (socket, false),
            // Which of these errors forbids pings depends on the cause.
            Err(Errno::EACCES | Errno::EPERM | Errno::EPROTONOSUPPORT) => {
                let raw = create(version, SockType::Raw).map_err(|error| match error {
                    Errno::EACCES | Errno::EPERM => Problem::new(
                        Reason::Permission,
                        format_args!("opening a socket for ICMP: {}: {ADVICE}", error.desc()),
                    ),
                    other => problem(peer, &other.into()),
                })?;
                (raw, true)
            }
            Err(error) => return Err(problem(peer, &error.into())),
        };
        let socket = shortage::keep_reserve(socket).map_err(|error| problem(peer, &error))?;
        set_up(&socket, version, is_raw, settings)
            .and_then(|()| bind_to(&socket, settings.source))
            .and_then(|()| {
                let address = SockaddrStorage::from(address);
                Ok(connect(socket.as_raw_fd(), &address)?)
            })
            .map_err(|error| problem(peer, &error))?;
        let socket = UdpSocket::from_std(socket.into()).map_err(|error| problem(peer, &error))?;
        Ok(Self {
            socket,
            peer,
            version,
            is_raw,
        })
    }

    /// Sends the request and waits for its reply. Ignores other packets. Returns the reply's hop limit.
    ///
    /// # Errors
    /// If the network reports an error: no route to the host, or a packet that is too large.
    pub async fn exchange(&self, echo: &Echo) -> Result<Option<u8>, Problem> {
        self.send(&echo.request(self.version))
            .await
            .map_err(|error| problem(self.peer, &error))?;
        let mut packet = vec![0; MAX_PACKET];
        let mut foreign_errors = 0;
        loop {
            let (length, hop_limit) = match self.receive(&mut packet).await {
                Ok(received) => received,
                // A raw socket also receives errors about other requests to the host, such as those of a traceroute.
                Err(_) if self.is_raw && foreign_errors < MAX_FOREIGN_ERRORS => {
                    foreign_errors += 1;
                    continue;
                }
                Err(error) => return Err(problem(self.peer, &error)),
            };
            let received = packet.get(..length).unwrap_or(&[]);
            let message = match (self.is_raw, self.version) {
                (true, Version::V4) => skip_ip_header(received),
                _ => Some(received),
            };
            if message.is_some_and(|message| echo.matches_reply(message, self.version, self.is_raw)) {
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
    // Errors that routers report about this request end the wait.
    let receives_errors = !is_raw;
    match version {
        Version::V4 => {
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
            setsockopt(socket, sockopt::Ipv4RecvErr, &receives_errors)?;
            if let Some(ttl) = ttl {
                setsockopt(socket, sockopt::Ipv4Ttl, &ttl)?;
            }
            if settings.dont_fragment {
                set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
            }
        }
        Version::V6 => {
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
            setsockopt(socket, sockopt::Ipv6RecvErr, &receives_errors)?;
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
    let mut hop_limits = received.cmsgs()?.filter_map(|message| match message {
        ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
            u8::try_from(hops).ok()
        }
        _ => None,
    });
    let hop_limit = hop_limits.next();
    Ok((received.bytes, hop_limit))
}

/// Converts an error of the socket to a problem. Routers or this machine can cause such an error.
fn problem(peer: IpAddr, error: &io::Error) -> Problem {
    let advice = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMSGSIZE) => {
            let message = format_args!(
                "pinging {peer}: the request is too large for a link on the path: lower payload_size or remove \
                 dont_fragment"
            );
            return Problem::new(Reason::Limit, message);
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            ": check the firewall of this machine, and that this is not a broadcast address"
        }
        Some(Errno::EHOSTUNREACH) => {
            ": the host does not respond on its network, or the request's ttl is too low"
        }
        _ => "",
    };
    io_error::connect_problem(
        SocketAddr::new(peer, 0),
        error,
        format_args!("pinging {peer}: {error}{advice}"),
    )
}
