//! The problems of HTTP exchanges.

use std::error::Error;
use std::fmt::Display;
use std::io;

use super::limits::{MAX_HEAD_BYTES, MAX_HEADERS};
use crate::model::{Problem, Reason};
use crate::net::{io_error, tls};

/// The problem of an error of hyper. The message contains `doing`, such as "listing the buckets".
pub fn of_hyper(error: &hyper::Error, peer: impl Display, doing: &str) -> Problem {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return of_io(io, peer, doing);
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return closed(peer, doing);
    }
    if error.is_parse_too_large() || has_sent_too_much(error) {
        return too_large(peer, doing);
    }
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    invalid(peer, doing, format_args!("{error}{cause}"))
}

/// The problem of a connection that broke during an exchange.
pub fn of_io(error: &io::Error, peer: impl Display, doing: &str) -> Problem {
    let fault = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match fault {
        Some(fault) => at(Reason::Tls, peer, doing, tls::error_text(fault)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => closed(peer, doing),
        // An error that hyper itself found in a body has no error number.
        None if error.raw_os_error().is_none() && io_error::reason(error) != Reason::Closed => {
            invalid(peer, doing, error)
        }
        None => io_error::problem(error, format_args!("{peer}, {doing}: {error}")),
    }
}

/// The problem of a response that is not complete.
pub fn closed(peer: impl Display, doing: &str) -> Problem {
    at(
        Reason::Closed,
        peer,
        doing,
        "it closed the connection before the end",
    )
}

/// The problem of a head that is too large.
pub fn too_large(peer: impl Display, doing: &str) -> Problem {
    let what = format_args!("the header has more than {MAX_HEADERS} fields or {MAX_HEAD_BYTES} bytes");
    at(Reason::Limit, peer, doing, what)
}

/// The problem of a response that violates the protocol.
pub fn invalid(peer: impl Display, doing: &str, what: impl Display) -> Problem {
    let what = format_args!("the response is not valid HTTP ({what})");
    at(Reason::Protocol, peer, doing, what)
}

fn at(reason: Reason, peer: impl Display, doing: &str, what: impl Display) -> Problem {
    Problem::new(reason, format_args!("{peer}, {doing}: {what}"))
}

/// Whether the library closed the connection because the server sent too much over HTTP/2: a head that is far too large, or
/// that has too many frames.
fn has_sent_too_much(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(fault) = inner.downcast_ref::<h2::Error>() {
            return fault.is_library() && fault.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        }
        cause = inner.source();
    }
    false
}
