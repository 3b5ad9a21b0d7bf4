//! Listeners and connections: TCP and Unix sockets as one type.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::peer::Peer;
use crate::socket_file::SocketFile;

/// The maximum number of response bytes that the kernel buffers per connection. Its default is several megabytes.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A Unix socket, and its file if the exporter created it.
    Unix(UnixListener, Option<SocketFile>),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener, None)
    }
}

impl Listener {
    /// Returns the TCP port.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(..) => None,
        }
    }

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "failed to set TCP_NODELAY");
                }
                // The kernel doubles the value (socket(7)).
                if let Err(error) = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES / 2) {
                    tracing::debug!(%error, "failed to set SO_SNDBUF");
                }
                Ok((Socket::new(Stream::Tcp(stream.into())), Peer::Ip(address.ip())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::new(Stream::Unix(stream.into())), Peer::Local))
            }
        }
    }
}

/// A socket, shared by its connection and its handles.
#[derive(Clone, Debug)]
enum Stream {
    Tcp(Arc<TcpStream>),
    Unix(Arc<UnixStream>),
}

/// Calls a method of either kind of socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($socket) => $call,
            Stream::Unix($socket) => $call,
        }
    };
}

/// Observes the socket of a connection while the connection is served.
#[derive(Clone, Debug)]
pub(super) struct Handle(Stream);

impl Handle {
    /// Waits until the client has closed its side of the connection, even if earlier data has not been read. A client that
    /// closed only its sending side looks the same as one that closed both, so it counts too.
    pub async fn closed_by_client(&self) {
        // The socket is registered for reading and writing only, so it gets ready for this only when it closes.
        let ready = either!(&self.0, socket => socket.ready(Interest::PRIORITY).await);
        if !ready.is_ok_and(|ready| ready.is_read_closed()) {
            std::future::pending().await
        }
    }

    /// Returns the local address that the client connected to; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<IpAddr> {
        match &self.0 {
            Stream::Tcp(socket) => Some(socket.local_addr().ok()?.ip().to_canonical()),
            Stream::Unix(_) => None,
        }
    }
}

/// A connection whose first byte can be peeked.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    peeked: Option<u8>,
}

impl Socket {
    const fn new(stream: Stream) -> Self {
        Self { stream, peeked: None }
    }

    /// Returns a handle to observe the socket with.
    pub fn handle(&self) -> Handle {
        Handle(self.stream.clone())
    }

    /// Waits for the first byte, which the next read returns again.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn peek(&mut self) -> io::Result<u8> {
        let byte = self.read_u8().await?;
        self.peeked = Some(byte);
        Ok(byte)
    }

    /// Tries to write whenever the socket is ready.
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(&self.stream, socket => socket.poll_write_ready(cx)))?;
            match attempt(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(peeked) = self.peeked.take()
        {
            buf.put_slice(&[peeked]);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(either!(&self.stream, socket => socket.poll_read_ready(cx)))?;
            match either!(&self.stream, socket => socket.try_read_buf(buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try_write(cx, |stream| either!(stream, socket => socket.try_write(buf)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try_write(
            cx,
            |stream| either!(stream, socket => socket.try_write_vectored(bufs)),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = either!(&self.stream, socket => socket.as_fd());
        Poll::Ready(match shutdown(socket, Shutdown::Write) {
            // Either side has closed it already.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}
