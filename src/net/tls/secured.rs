//! A stream after its handshake. However it ends, it says so: the peer gets a close_notify (RFC 8446, section 6.1), without
//! which it can't tell the end from an attack that cut the connection off.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio_rustls::client::TlsStream;

/// A stream after its handshake.
#[derive(Debug)]
pub struct Secured<S = TcpStream>(TlsStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin;

impl<S: AsyncRead + AsyncWrite + Unpin> Secured<S> {
    pub(super) fn new(stream: TlsStream<S>) -> Self {
        Self(stream)
    }

    /// What was agreed on.
    pub fn connection(&self) -> &ClientConnection {
        self.0.get_ref().1
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Secured<S> {
    /// Sends the close_notify as far as that goes without waiting: what the system does not take at once is left. After a
    /// shutdown, or a fatal alert, the library has nothing more to say.
    fn drop(&mut self) {
        self.0.get_mut().1.send_close_notify();
        let farewell = poll_fn(|cx| Pin::new(&mut self.0).poll_flush(cx));
        let _ = pin!(unconstrained(farewell)).poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
