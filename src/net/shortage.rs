//! Classifies errors that mean a shortage in this process or machine. Such an error says nothing about the target, so a run
//! that fails with it is inconclusive.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::model::{Problem, Reason, Shortage};

/// How many nested causes of an error are searched. Libraries nest fewer than ten.
const MAX_CAUSES: usize = 16;

/// Checks leave the descriptor limit divided by this free, for reading files and accepting scrapes.
const RESERVED_DIVISOR: u64 = 8;
/// The maximum number of descriptors that checks leave free.
const MAX_RESERVED: u64 = 64;

/// The shortage that an error of the system means. Some errors depend on the call: use [`from_connect_error`] for connections and
/// [`from_thread_error`] for threads.
pub fn from_errno(error: Errno) -> Option<Shortage> {
    match error {
        // ENOSPC: registering a socket for events exceeds fs.epoll.max_user_watches (epoll_ctl(2)).
        Errno::MFILE | Errno::NFILE | Errno::NOSPC => Some(Shortage::Descriptors),
        Errno::NOMEM | Errno::NOBUFS => Some(Shortage::Memory),
        // All ports of an address are in use (bind(2)).
        Errno::ADDRINUSE => Some(Shortage::Ports),
        _ => None,
    }
}

/// The shortage if a thread or a process could not be created (pthread_create(3)).
pub fn from_thread_error(error: &io::Error) -> Shortage {
    from_error(error).unwrap_or(Shortage::Threads)
}

/// The shortage if a socket could not be connected to `peer`.
pub fn from_connect_error(peer: SocketAddr, error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error) {
        // No local port is left, or this machine has no source address (because IPv6 is disabled, for example).
        Some(Errno::ADDRNOTAVAIL) => has_address_for(peer).then_some(Shortage::Ports),
        // A datagram socket got no port (connect(2)).
        Some(Errno::AGAIN) => Some(Shortage::Ports),
        _ => from_error(error),
    }
}

/// Whether this machine has a source address for `peer`. Connects a datagram socket, whose ports are separate from those of
/// TCP. Sends no packet.
fn has_address_for(peer: SocketAddr) -> bool {
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    UdpSocket::bind(any)
        .and_then(|socket| socket.connect(peer))
        .is_ok()
}

/// The shortage that `error` or one of its causes means.
pub fn from_error(error: &(dyn Error + 'static)) -> Option<Shortage> {
    let mut next = Some(error);
    for _ in 0..MAX_CAUSES {
        let error = next?;
        let io = error
            .downcast_ref::<io::Error>()
            .or_else(|| error.downcast_ref::<Arc<io::Error>>().map(|shared| &**shared));
        let errno = match io {
            Some(io) => Errno::from_io_error(io),
            None => error.downcast_ref::<Errno>().copied(),
        };
        if let Some(found) = errno.and_then(from_errno) {
            return Some(found);
        }
        // The source of an `io::Error` is the source of its inner error, so the inner error is next.
        next = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The shortage that the message of a panic means. tokio's `spawn_blocking` panics if it can't create a thread.
pub fn from_panic(text: &str) -> Option<Shortage> {
    text.starts_with("OS can't spawn worker thread")
        .then_some(Shortage::Threads)
}

/// The problem of an error: a shortage if the error means one, otherwise a problem with this reason.
pub fn problem(reason: Reason, error: &(dyn Error + 'static), message: impl Display) -> Problem {
    problem_or(from_error(error), reason, message)
}

/// The problem of a process that could not be created: a shortage also if a limit of processes is reached (EAGAIN, fork(2), execve(2)).
pub fn process_problem(reason: Reason, error: &io::Error, message: impl Display) -> Problem {
    let is_at_limit = Errno::from_io_error(error) == Some(Errno::AGAIN);
    let shortage = from_error(error).or(is_at_limit.then_some(Shortage::Threads));
    problem_or(shortage, reason, message)
}

/// The problem of a shortage if there is one, otherwise a problem with this reason.
pub fn problem_or(shortage: Option<Shortage>, reason: Reason, message: impl Display) -> Problem {
    match shortage {
        Some(shortage) => Problem::from_shortage(shortage, format_args!("{message} ({})", remedy(shortage))),
        None => Problem::new(reason, message),
    }
}

/// The missing resource, and what to do.
const fn remedy(shortage: Shortage) -> &'static str {
    match shortage {
        Shortage::Time => "the exporter lacks CPU time: give it more",
        Shortage::Descriptors => "the exporter lacks file descriptors: raise LimitNOFILE",
        Shortage::Memory => "the exporter or its machine lacks memory: raise MemoryMax, or free some",
        Shortage::Ports => "the machine lacks local ports: widen net.ipv4.ip_local_port_range",
        Shortage::Threads => "the exporter can't create threads: raise TasksMax",
        Shortage::Manager => "systemd has not responded yet: see systemctl status",
        Shortage::Undecided => "the program can't tell",
        Shortage::Programs => "other programs have not ended: see ps",
    }
}

/// The number of descriptors of `limit` that checks leave free.
fn reserved(limit: u64) -> u64 {
    (limit / RESERVED_DIVISOR).min(MAX_RESERVED)
}

/// Rejects a socket of a check that is one of the last descriptors. The system assigns the lowest free number (open(2)), so
/// a high number means that all lower ones are in use.
///
/// # Errors
/// EMFILE, as if no descriptor were left.
pub fn keep_reserve<S: AsFd>(socket: S) -> io::Result<S> {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(socket);
    };
    let number = u64::from(socket.as_fd().as_raw_fd().unsigned_abs());
    match number < limit - reserved(limit) {
        true => Ok(socket),
        false => Err(Errno::MFILE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn system_errors_map_to_shortages() {
        for (errno, expected) in [
            (Errno::MFILE, Some(Shortage::Descriptors)),
            (Errno::NFILE, Some(Shortage::Descriptors)),
            (Errno::NOMEM, Some(Shortage::Memory)),
            (Errno::NOBUFS, Some(Shortage::Memory)),
            (Errno::ADDRINUSE, Some(Shortage::Ports)),
            (Errno::CONNREFUSED, None),
            (Errno::TIMEDOUT, None),
            (Errno::NETUNREACH, None),
            (Errno::ACCESS, None),
        ] {
            assert_eq!(from_error(&error(errno)), expected, "{errno}");
            assert_eq!(from_error(&errno), expected, "{errno}");
        }
        assert_eq!(from_thread_error(&error(Errno::AGAIN)), Shortage::Threads);
        assert_eq!(from_thread_error(&error(Errno::NOMEM)), Shortage::Memory);
    }

    #[test]
    fn a_connection_without_a_local_port_is_a_shortage_of_ports() {
        let here = "127.0.0.1:1".parse().unwrap();
        assert_eq!(
            from_connect_error(here, &error(Errno::ADDRNOTAVAIL)),
            Some(Shortage::Ports)
        );
        assert_eq!(
            from_connect_error(here, &error(Errno::AGAIN)),
            Some(Shortage::Ports)
        );
        assert_eq!(from_connect_error(here, &error(Errno::CONNREFUSED)), None);
        // Most machines have no route to a documentation address (RFC 3849).
        let nowhere = "[2001:db8::1]:1".parse().unwrap();
        if !has_address_for(nowhere) {
            assert_eq!(from_connect_error(nowhere, &error(Errno::ADDRNOTAVAIL)), None);
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("reading it failed")]
    struct Outer(#[source] Arc<io::Error>);

    #[test]
    fn nested_causes_are_searched() {
        let deep = io::Error::other(Outer(Arc::new(error(Errno::MFILE))));
        assert_eq!(from_error(&deep), Some(Shortage::Descriptors));
        let found = problem(Reason::Auth, &deep, "reading the secret");
        assert_eq!(found.shortage, Some(Shortage::Descriptors));
        assert_eq!(
            found.message(),
            "reading the secret (the exporter lacks file descriptors: raise LimitNOFILE)"
        );
        let other = io::Error::other(Outer(Arc::new(error(Errno::NOENT))));
        let found = problem(Reason::Auth, &other, "reading the secret");
        assert_eq!((found.reason, found.shortage), (Reason::Auth, None));
        assert_eq!(found.message(), "reading the secret");
    }

    #[test]
    fn checks_leave_descriptors_free() {
        for (limit, free) in [(64, 8), (128, 16), (1024, 64), (1 << 20, 64)] {
            assert_eq!(reserved(limit), free);
        }
        assert!(keep_reserve(UdpSocket::bind("127.0.0.1:0").unwrap()).is_ok());
    }
}
