//! Opens TCP connections to known addresses. The next address is tried when the one before fails or is slow (RFC 8305).

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{io_error, shortage};
use crate::config::zone;
use crate::model::{Problem, Reason};

/// How long to wait for an address before the next one is tried as well (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to an address, from the address `source` of this machine if there is one.
///
/// # Errors
/// Why the connection failed. EMFILE if the socket would take one of the last descriptors.
pub async fn connect(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = shortage::keep_reserve(match peer {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    })?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(|error| io_error::explain_bind(source, error))?;
    }
    socket.connect(peer).await
}

/// Connects to the first of several addresses that accepts. Calls `on_attempt` with every address that it tries.
///
/// # Errors
/// The problem of all addresses if none could be connected to.
pub async fn connect_first(
    peers: Vec<SocketAddr>,
    source: Option<IpAddr>,
    mut on_attempt: impl FnMut(SocketAddr),
) -> Result<(TcpStream, SocketAddr), Problem> {
    let &[peer] = peers.as_slice() else {
        // Boxed, because most targets have one address.
        return Box::pin(race(peers, source, on_attempt)).await;
    };
    on_attempt(peer);
    match connect(peer, source).await {
        Ok(stream) => Ok((stream, peer)),
        Err(error) => Err(io_error::connect_problem_of_all(&[(peer, error)])),
    }
}

/// Connects to the first of several addresses that accepts, see [`connect_first`].
async fn race(
    peers: Vec<SocketAddr>,
    source: Option<IpAddr>,
    mut on_attempt: impl FnMut(SocketAddr),
) -> Result<(TcpStream, SocketAddr), Problem> {
    let mut peers = peers.into_iter().peekable();
    let mut attempts = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        if let Some(peer) = peers.next() {
            on_attempt(peer);
            attempts.push(async move { (peer, connect(peer, source).await) });
        }
        let delay = match peers.peek() {
            Some(_) => ATTEMPT_DELAY,
            None => Duration::MAX,
        };
        let mut delay = pin!(tokio::time::sleep(delay));
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Some((peer, Ok(stream))) => return Ok((stream, peer)),
                Some((peer, Err(error))) => errors.push((peer, error)),
                None => return Err(io_error::connect_problem_of_all(&errors)),
            },
            () = &mut delay => {}
        }
    }
}

/// The index of the network interface in a host's zone (`eth0` in `fe80::1%eth0`), which is the scope id of a socket address.
#[derive(Clone, Copy, Debug)]
pub struct ZoneIndex(u32);

impl ZoneIndex {
    /// Looks up the zone of a host; 0 if it has none.
    ///
    /// # Errors
    /// If this machine has no such interface.
    pub fn of(host: &str) -> Result<Self, Problem> {
        let Some((_, zone)) = zone::split(host) else {
            return Ok(Self(0));
        };
        let number = zone.parse().ok().filter(|number| *number > 0);
        let index = number.map_or_else(|| nix::net::if_::if_nametoindex(zone), Ok);
        index.map(Self).map_err(|error| {
            let message = format_args!(
                "connecting to {host}: this machine has no network interface {zone} ({}): use one that `ip link` shows",
                error.desc()
            );
            Problem::new(Reason::Unreachable, message)
        })
    }

    /// The socket address of an address of the host. `port` is 0 for protocols without ports.
    pub fn socket_addr(self, address: IpAddr, port: u16) -> SocketAddr {
        match address {
            IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, self.0).into(),
            IpAddr::V4(_) => SocketAddr::new(address, port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_an_interface_of_this_machine() {
        let address: IpAddr = "fe80::1".parse().unwrap();
        for (host, expected) in [
            ("fe80::1%lo", "[fe80::1%1]:80"),
            ("fe80::1%7", "[fe80::1%7]:80"),
            ("fe80::1", "[fe80::1]:80"),
        ] {
            let zone = ZoneIndex::of(host).unwrap();
            assert_eq!(zone.socket_addr(address, 80).to_string(), expected);
        }
        let problem = ZoneIndex::of("fe80::1%none0").unwrap_err();
        assert_eq!(problem.reason, Reason::Unreachable);
        assert!(
            problem.message().contains("no network interface none0"),
            "{problem}"
        );
    }
}
