//! Maps I/O errors of sockets to problems with a reason.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

use super::read_budget::ReadLimitExceeded;
use super::shortage;
use crate::model::{Problem, Reason};

/// The configured source address does not belong to this machine.
#[derive(Debug, thiserror::Error)]
#[error("source_ip_address {0} is not an address of this machine")]
struct ForeignSourceAddress(IpAddr);

/// Explains the error of a socket that could not be bound to `source`.
pub fn explain_bind(source: IpAddr, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => io::Error::new(error.kind(), ForeignSourceAddress(source)),
        _ => error,
    }
}

/// The problem of a connected socket. The message says what was attempted and what went wrong.
pub fn problem(error: &io::Error, message: impl Display) -> Problem {
    shortage::problem(reason(error), error, message)
}

/// The problem of a socket that could not be connected to `peer`.
pub fn connect_problem(peer: SocketAddr, error: &io::Error, message: impl Display) -> Problem {
    shortage::problem_or(shortage::from_connect_error(peer, error), reason(error), message)
}

/// The problem when none of several addresses could be connected to. An error of an address that responded takes
/// precedence over one that could not be reached, since hosts without IPv6 are common.
pub fn connect_problem_of_all(errors: &[(SocketAddr, io::Error)]) -> Problem {
    let shortage = errors
        .iter()
        .find_map(|(peer, error)| shortage::from_connect_error(*peer, error));
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
    shortage::problem_or(shortage, reason.unwrap_or(Reason::Unreachable), parts.join("; "))
}

/// The reason for an error of a socket that the peer caused. Use [`problem`] if this machine may be the cause.
pub fn reason(error: &io::Error) -> Reason {
    let cause = error.get_ref();
    if cause.is_some_and(|cause| cause.is::<ReadLimitExceeded>()) {
        return Reason::Limit;
    }
    if cause.is_some_and(|cause| cause.is::<ForeignSourceAddress>()) {
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

    fn problem_of(errors: &[(&str, i32)]) -> Problem {
        let error = |(peer, code): &(&str, i32)| (peer.parse().unwrap(), io::Error::from_raw_os_error(*code));
        connect_problem_of_all(&errors.iter().map(error).collect::<Vec<_>>())
    }

    #[test]
    fn system_errors_map_to_reasons() {
        for (code, reason) in [
            (111, Reason::Refused),
            (104, Reason::Closed),
            (110, Reason::Timeout),
            (113, Reason::Unreachable),
            (101, Reason::Unreachable),
            (13, Reason::Permission),
        ] {
            let problem = problem_of(&[("192.0.2.1:80", code)]);
            assert_eq!((problem.reason, problem.shortage), (reason, None), "{code}");
        }
    }

    #[test]
    fn a_shortage_of_this_machine_takes_precedence() {
        for (code, shortage) in [
            (99, Shortage::Ports),
            (24, Shortage::Descriptors),
            (23, Shortage::Descriptors),
            (12, Shortage::Memory),
            (105, Shortage::Memory),
        ] {
            // The address that was not tried might have responded.
            for errors in [
                &[("127.0.0.1:80", code)][..],
                &[("127.0.0.1:80", 111), ("127.0.0.1:81", code)],
            ] {
                assert_eq!(problem_of(errors).shortage, Some(shortage), "{code}");
            }
        }
        assert_eq!(
            problem_of(&[("127.0.0.1:80", 24)]).message(),
            "connecting to 127.0.0.1:80: Too many open files (os error 24) (the exporter lacks file descriptors: \
             raise LimitNOFILE)"
        );
    }

    #[test]
    fn an_address_that_answered_decides_the_reason() {
        let problem = problem_of(&[("[2001:db8::1]:80", 101), ("192.0.2.1:80", 111)]);
        assert_eq!(problem.reason, Reason::Refused);
        assert_eq!(
            problem.message(),
            "connecting to [2001:db8::1]:80: Network is unreachable (os error 101); \
             connecting to 192.0.2.1:80: Connection refused (os error 111)"
        );
    }
}
