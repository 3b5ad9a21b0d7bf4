//! Compares the client for HTTP/1.1 with hyper: both read the same bytes, and must come to the same result. hyper is the reference for
//! what is accepted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::{Driver, drive, http1_builder};
use super::early_response::EarlyResponse;
use super::http1::Http1;
use super::{exchange, problems};
use crate::model::Reason;

/// What a server sends in response to a request.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it sends, in pieces.
    pub pieces: Vec<Bytes>,
    /// What it does afterwards.
    pub last: Last,
}

/// What a server does after it sent its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It closes the connection.
    Closes,
    /// It resets the connection.
    Resets,
    /// Nothing.
    Hangs,
}

/// What a client makes of a response.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Status, version and fields, if the head was accepted.
    pub head: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<String>,
    /// `None` if the response is complete.
    pub failure: Option<End>,
}

/// Why a response is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client still waits.
    Waits,
    /// The client reports a problem.
    Fails(Reason),
}

/// What both clients make of a response: ours, which reads it in pieces, and hyper, which reads all of it at once. The first bytes
/// of the input choose the request, the end and the pieces.
pub fn fuzz(input: &[u8]) -> (Outcome, Outcome) {
    let (choices, response) = input.split_at(input.len().min(2));
    let [choice, size] = [0, 1].map(|index| choices.get(index).copied().unwrap_or_default());
    let method = match choice % 4 {
        0 | 1 => Method::GET,
        2 => Method::HEAD,
        _ => Method::CONNECT,
    };
    let last = match choice / 4 % 4 {
        0 | 1 => Last::Closes,
        2 => Last::Resets,
        _ => Last::Hangs,
    };
    let whole = Bytes::copy_from_slice(response);
    // A client that has seen garbage need not wait for the end of the line, so its patience depends on the pieces.
    let pieces = match (last, size) {
        (Last::Hangs, _) | (_, 0) => vec![whole.clone()],
        (_, size) => response.chunks(size.into()).map(Bytes::copy_from_slice).collect(),
    };
    let request = |method: &Method| {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method.clone();
        request
    };
    let ours = ours(Script { pieces, last }, request(&method)).0;
    let pieces = vec![whole];
    let theirs = theirs(Script { pieces, last }, request(&method)).0;
    (ours, theirs)
}

/// What our client makes of a response, and what it sends.
pub fn ours(script: Script, request: Request<Bytes>) -> (Outcome, Vec<u8>) {
    run(script, |stream, outcome| async move {
        let failed = |failure| End::Fails(exchange::problem(failure, PEER, "").reason);
        let mut connection = Http1::new(stream, request, false);
        let head = connection.send().await.map_err(failed)?;
        outcome.lock().unwrap_or_else(PoisonError::into_inner).head = Some(show(&head));
        while let Some(data) = connection.data().await.map_err(failed)? {
            outcome
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .body
                .extend_from_slice(&data);
        }
        outcome.lock().unwrap_or_else(PoisonError::into_inner).trailers =
            connection.trailers().map(show_fields);
        Ok(())
    })
}

/// What hyper makes of a response, and what it sends.
pub fn theirs(script: Script, request: Request<Bytes>) -> (Outcome, Vec<u8>) {
    run(script, |stream, outcome| async move {
        let failed = |error| End::Fails(problems::of_hyper(&error, PEER, "").reason);
        let handshake = http1_builder().handshake(TokioIo::new(EarlyResponse::new(stream)));
        let (mut sender, connection) = handshake.await.map_err(failed)?;
        let response = sender.send_request(request.map(Full::new));
        let driver: Driver = Box::pin(connection);
        let mut driver = Some(driver);
        let response = drive(&mut driver, pin!(response)).await.map_err(failed)?;
        let (head, mut body) = response.into_parts();
        outcome.lock().unwrap_or_else(PoisonError::into_inner).head = Some(show(&head));
        while let Some(frame) = drive(&mut driver, pin!(body.frame())).await {
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match frame.map_err(failed)?.into_data() {
                Ok(data) => outcome.body.extend_from_slice(&data),
                Err(other) => outcome.trailers = other.into_trailers().ok().as_ref().map(show_fields),
            }
        }
        Ok(())
    })
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);

fn show(head: &response::Parts) -> String {
    format!(
        "{:?} {}\n{}",
        head.version,
        head.status.as_u16(),
        show_fields(&head.headers)
    )
}

fn show_fields(fields: &HeaderMap) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}\n"))
        .collect()
}

/// Whether a client that waits was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls a client until it ends, or waits although nothing wakes it.
fn run<F>(script: Script, client: impl FnOnce(Server, Arc<Mutex<Outcome>>) -> F) -> (Outcome, Vec<u8>)
where
    F: Future<Output = Result<(), End>>,
{
    let outcome = Arc::new(Mutex::new(Outcome {
        head: None,
        body: Vec::new(),
        trailers: None,
        failure: None,
    }));
    let sent = Arc::default();
    let server = Server {
        script,
        next: 0,
        is_ready: false,
        sent: Arc::clone(&sent),
    };
    let failure = {
        let mut client = pin!(client(server, Arc::clone(&outcome)));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        loop {
            match client.as_mut().poll(&mut cx) {
                Poll::Ready(result) => break result.err(),
                Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => {}
                Poll::Pending => break Some(End::Waits),
            }
        }
    };
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.failure = failure;
    let empty = Outcome {
        head: None,
        body: Vec::new(),
        trailers: None,
        failure: None,
    };
    let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
    (std::mem::replace(&mut *outcome, empty), sent)
}

/// The server's side of a connection.
struct Server {
    script: Script,
    next: usize,
    /// Whether the next piece arrives with the next read. Before that, one read has to wait.
    is_ready: bool,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let next = self.next;
        if next == self.script.pieces.len() && self.script.last == Last::Hangs {
            return Poll::Pending;
        }
        self.is_ready = !self.is_ready;
        if self.is_ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.script.pieces.get_mut(next) {
            Some(piece) => {
                into.put_slice(&piece.split_to(piece.len().min(into.remaining())));
                if piece.is_empty() {
                    self.next += 1;
                }
            }
            None => match self.script.last {
                Last::Closes => {}
                Last::Resets => return Poll::Ready(Err(io::Error::from_raw_os_error(nix::libc::ECONNRESET))),
                Last::Hangs => return Poll::Pending,
            },
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
