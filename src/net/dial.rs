//! Connects to a host: its addresses in order, the next one started when the one before fails or is slow (RFC 8305).

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpSocket, TcpStream};

use super::probe_samples;
use super::resolve::Resolver;
use super::run_recorder::{Phase, RunRecorder, Step};
use super::shortage;
use super::stream::TooMuch;
use crate::config::address::{AddressPreference, HostPort};
use crate::config::zone;
use crate::model::{Problem, Reason};

/// How long an address may keep the next one waiting (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to a host, and notes the phases resolve and connect. The phase connect is left open, for a proxy's answer.
///
/// # Errors
/// Why the name could not be resolved, or why none of its addresses could be connected to.
pub async fn dial(
    resolver: &Resolver,
    target: &HostPort,
    preference: AddressPreference,
    trace: &mut RunRecorder<'_>,
) -> Result<(TcpStream, SocketAddr), Problem> {
    dial_from(resolver, target, preference, None, trace).await
}

/// The same, from this address of the machine.
///
/// # Errors
/// As for [`dial`].
pub async fn dial_from(
    resolver: &Resolver,
    target: &HostPort,
    preference: AddressPreference,
    source: Option<IpAddr>,
    trace: &mut RunRecorder<'_>,
) -> Result<(TcpStream, SocketAddr), Problem> {
    let (mut addresses, is_first) =
        addresses(resolver, &target.host, Some(target.port), preference, trace).await?;
    if let Some(source) = source {
        addresses.retain(|address| address.is_ipv4() == source.is_ipv4());
        if addresses.is_empty() {
            let message = format_args!("{target} has no address that {source} (source_ip_address) can reach");
            return Err(Problem::new(Reason::Unreachable, message));
        }
    }
    let place = Place::of(&target.host, target.port)?;
    let first = place.at(addresses[0]);
    trace.at(Step::Connecting(first));
    if addresses.len() == 1 {
        return match connect(first, source).await {
            Ok(stream) => Ok((stream, first)),
            Err(error) => Err(failed(&[(first, error)])),
        };
    }
    let addresses = addresses.iter().map(|address| place.at(*address));
    let (stream, peer) = race(addresses, source, trace).await?;
    if is_first {
        probe_samples::connected(trace.report, peer.ip());
    }
    Ok((stream, peer))
}

/// The addresses of a host that may be connected to, at least one; notes the phase resolve, and begins the phase connect.
/// Says, too, whether a probe was told of the first one.
///
/// # Errors
/// Why there is none.
pub async fn addresses(
    resolver: &Resolver,
    host: &str,
    port: Option<u16>,
    preference: AddressPreference,
    trace: &mut RunRecorder<'_>,
) -> Result<(Vec<IpAddr>, bool), Problem> {
    trace.enter(Phase::Resolve);
    // The interface is this machine's affair; which addresses may be connected to does not depend on it.
    let host = zone::without(host);
    if host.parse::<IpAddr>().is_err() {
        trace.at(Step::Resolving(host.to_owned()));
    }
    let deadline = trace.report.deadline;
    match resolver.resolve_for(host, port, preference, deadline).await {
        Ok(mut addresses) => {
            addresses.truncate(MAX_ADDRESSES);
            trace.enter(Phase::Connect);
            let lookup = trace.spent(Phase::Resolve);
            let is_told = probe_samples::resolved(trace.report, addresses[0], lookup);
            Ok((addresses, is_told))
        }
        Err(problem) => {
            trace.leave();
            let lookup = trace.spent(Phase::Resolve);
            probe_samples::unresolved(trace.report, lookup);
            Err(problem)
        }
    }
}

/// Where a host's addresses are connected to: the port, and the network interface of a link-local one.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    port: u16,
    scope: u32,
}

impl Place {
    /// At this port of a host; 0 where there are no ports.
    ///
    /// # Errors
    /// Where this machine has no interface of the name that the host has as its zone.
    pub fn of(host: &str, port: u16) -> Result<Self, Problem> {
        let Some((_, zone)) = zone::split(host) else {
            return Ok(Self { port, scope: 0 });
        };
        let known = zone.parse().ok().filter(|scope| *scope > 0);
        let scope = known.map_or_else(|| nix::net::if_::if_nametoindex(zone), Ok);
        let scope = scope.map_err(|error| {
            let message = format_args!(
                "connecting to {host}: this machine has no network interface {zone} ({}): write one that `ip link` shows",
                error.desc()
            );
            Problem::new(Reason::Unreachable, message)
        })?;
        Ok(Self { port, scope })
    }

    /// With this address of the host.
    pub fn at(self, address: IpAddr) -> SocketAddr {
        match address {
            IpAddr::V6(address) => SocketAddrV6::new(address, self.port, 0, self.scope).into(),
            IpAddr::V4(_) => SocketAddr::new(address, self.port),
        }
    }
}

/// Connects to an address, from this one of the machine.
///
/// # Errors
/// Why it could not; EMFILE where one of the last descriptors would be taken.
pub async fn connect(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = shortage::keep_reserve(match peer {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    })?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(|error| unbound(source, error))?;
    }
    socket.connect(peer).await
}

/// This machine does not have the address to send from.
#[derive(Debug, thiserror::Error)]
#[error("source_ip_address {0} is no address of this machine")]
struct NotHere(IpAddr);

/// The error of a socket that could not be bound to the address to send from.
pub fn unbound(source: IpAddr, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => io::Error::new(error.kind(), NotHere(source)),
        _ => error,
    }
}

async fn race(
    mut addresses: impl Iterator<Item = SocketAddr>,
    source: Option<IpAddr>,
    trace: &mut RunRecorder<'_>,
) -> Result<(TcpStream, SocketAddr), Problem> {
    let mut attempts = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        let next = addresses.next();
        if let Some(peer) = next {
            trace.at(Step::Connecting(peer));
            attempts.push(async move { (peer, connect(peer, source).await) });
        }
        let delay = if next.is_some() {
            ATTEMPT_DELAY
        } else {
            Duration::MAX
        };
        let mut delay = pin!(tokio::time::sleep(delay));
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Some((peer, Ok(stream))) => return Ok((stream, peer)),
                Some((peer, Err(error))) => errors.push((peer, error)),
                None => return Err(failed(&errors)),
            },
            () = &mut delay => {}
        }
    }
}

/// The problem of a connection that did not come about. Of several attempts' errors, that of an address which answered
/// counts before that of one which could not be reached: hosts without IPv6 are common.
fn failed(errors: &[(SocketAddr, io::Error)]) -> Problem {
    let shortage = errors.iter().find_map(|(peer, error)| shortage::at(*peer, error));
    let reasons = errors.iter().map(|(_, error)| reason(error));
    let reason = reasons.min_by_key(|reason| match reason {
        Reason::Refused => 1,
        Reason::Closed => 2,
        Reason::Timeout => 3,
        _ => 4,
    });
    let parts: Vec<String> = errors
        .iter()
        .map(|(peer, error)| format!("connecting to {peer}: {error}"))
        .collect();
    shortage::found(shortage, reason.unwrap_or(Reason::Unreachable), parts.join("; "))
}

/// The problem that an error of a connected socket is. The message says what was attempted and what went wrong.
pub fn problem(error: &io::Error, message: impl Display) -> Problem {
    shortage::problem(reason(error), error, message)
}

/// The same for a socket that was to be connected to `peer`.
pub fn problem_at(peer: SocketAddr, error: &io::Error, message: impl Display) -> Problem {
    shortage::found(shortage::at(peer, error), reason(error), message)
}

/// What an error of a socket says of the peer. Ask [`problem`] where the cause may be this machine.
pub fn reason(error: &io::Error) -> Reason {
    use rustix::io::Errno;
    if error.get_ref().is_some_and(|cause| cause.is::<TooMuch>()) {
        return Reason::Limit;
    }
    if error.get_ref().is_some_and(|cause| cause.is::<NotHere>()) {
        return Reason::Unreachable;
    }
    if let Some(Errno::PERM | Errno::ACCESS) = Errno::from_io_error(error) {
        return Reason::Permission;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::Refused,
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Reason::Closed,
        _ => Reason::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shortage;

    fn failure(errors: &[(&str, i32)]) -> Problem {
        let error = |(peer, code): &(&str, i32)| (peer.parse().unwrap(), io::Error::from_raw_os_error(*code));
        failed(&errors.iter().map(error).collect::<Vec<_>>())
    }

    #[test]
    fn errors_of_the_system_have_reasons() {
        for (code, reason) in [
            (111, Reason::Refused),
            (104, Reason::Closed),
            (110, Reason::Timeout),
            (113, Reason::Unreachable),
            (101, Reason::Unreachable),
            (13, Reason::Permission),
        ] {
            let problem = failure(&[("192.0.2.1:80", code)]);
            assert_eq!((problem.reason, problem.shortage), (reason, None), "{code}");
        }
    }

    #[test]
    fn what_this_machine_lacks_is_no_news_of_the_target() {
        for (code, shortage) in [
            (99, Shortage::Ports),
            (24, Shortage::Descriptors),
            (23, Shortage::Descriptors),
            (12, Shortage::Memory),
            (105, Shortage::Memory),
        ] {
            // Nobody knows what the address would have answered that was not tried.
            for errors in [
                &[("127.0.0.1:80", code)][..],
                &[("127.0.0.1:80", 111), ("127.0.0.1:81", code)],
            ] {
                assert_eq!(failure(errors).shortage, Some(shortage), "{code}");
            }
        }
        assert_eq!(
            failure(&[("127.0.0.1:80", 24)]).message(),
            "connecting to 127.0.0.1:80: Too many open files (os error 24) (the exporter lacks file descriptors: \
             raise LimitNOFILE)"
        );
    }

    #[test]
    fn a_zone_is_an_interface_of_this_machine() {
        let address: IpAddr = "fe80::1".parse().unwrap();
        let place = Place::of("fe80::1%lo", 80).unwrap();
        assert_eq!(place.at(address).to_string(), "[fe80::1%1]:80");
        assert_eq!(
            Place::of("fe80::1%7", 80).unwrap().at(address).to_string(),
            "[fe80::1%7]:80"
        );
        assert_eq!(
            Place::of("fe80::1", 80).unwrap().at(address).to_string(),
            "[fe80::1]:80"
        );
        let problem = Place::of("fe80::1%none0", 80).unwrap_err();
        assert_eq!(problem.reason, Reason::Unreachable);
        assert!(
            problem.message().contains("no network interface none0"),
            "{problem}"
        );
    }

    #[test]
    fn the_address_that_answered_decides() {
        let problem = failure(&[("[2001:db8::1]:80", 101), ("192.0.2.1:80", 111)]);
        assert_eq!(problem.reason, Reason::Refused);
        assert_eq!(
            problem.message(),
            "connecting to [2001:db8::1]:80: Network is unreachable (os error 101); \
             connecting to 192.0.2.1:80: Connection refused (os error 111)"
        );
    }
}
