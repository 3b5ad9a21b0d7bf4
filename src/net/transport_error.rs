//! Finds the cause of a failed request in the nested errors of reqwest, and maps it to a reason.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::certificates::CertificateRecorder;
use super::{io_error, shortage, tls};
use crate::model::{Problem, Reason};

/// How many nested causes are searched. reqwest, hyper and rustls nest fewer than ten.
const MAX_CAUSES: usize = 16;

/// A name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub Problem);

/// The server of the requests, as far as messages need it.
#[derive(Debug)]
pub struct Peer {
    /// Host and port.
    pub server: String,
    /// The certificates of the last handshake, and the expected name.
    pub certificates: Option<(Arc<CertificateRecorder>, ServerName<'static>)>,
}

/// The problem of a request that got no complete response.
pub fn problem(error: &reqwest::Error, peer: &Peer, doing: &str) -> Problem {
    let server = &peer.server;
    if let Some(Unresolved(problem)) = find(error) {
        return problem.clone();
    }
    if let Some(shortage) = shortage::from_error(error) {
        let message = format_args!("{server}, {doing}: {error}");
        return shortage::problem_or(Some(shortage), Reason::Unreachable, message);
    }
    if let (Some(cause), Some((recorder, name))) = (find_tls(error), &peer.certificates) {
        return tls::from_handshake_error(&io::Error::other(cause), recorder, server, name);
    }
    let attempt = if error.is_connect() { "connecting" } else { doing };
    let at = |reason, what: &dyn std::fmt::Display| {
        Problem::new(reason, format_args!("{server}, {attempt}: {what}"))
    };
    if let Some(cause) = find::<hyper::Error>(error) {
        if cause.is_incomplete_message() || cause.is_closed() {
            return at(
                Reason::Closed,
                &"it closed the connection before the end of the response",
            );
        }
        if cause.is_parse() {
            return at(
                Reason::Protocol,
                &format_args!("the response is not HTTP: {cause}"),
            );
        }
    }
    match find::<io::Error>(error) {
        Some(cause) => io_error::problem(cause, format_args!("{server}, {attempt}: {cause}")),
        None if error.is_connect() => at(Reason::Unreachable, &last(error)),
        None => at(Reason::Protocol, &last(error)),
    }
}

/// The causes of an error, itself first.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error)).take(MAX_CAUSES)
}

/// The source of an `io::Error` is the source of its inner error, so the inner error is its cause.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The first cause of this type. Of nested `io::Error`s, the first one has the kind.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn find_tls(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    find::<rustls::Error>(error).cloned()
}

/// The innermost cause, which says most.
fn last(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
