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

use super::socket_file::SocketFile;
use super::throttle::Peer;

/// What the kernel holds of answers that a client has yet to read, in bytes; by itself it goes up to some megabytes for each.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A Unix socket, and its file where that is the exporter's own.
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
    /// The port, of TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(..) => None,
        }
    }

    /// The next connection, and whom it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "setting TCP_NODELAY");
                }
                // It is asked for half of what it takes, for it doubles that (socket(7)).
                if let Err(error) = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES / 2) {
                    tracing::debug!(%error, "setting SO_SNDBUF");
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

/// A socket that its connection shares with whoever waits for the client to go.
#[derive(Clone, Debug)]
enum Stream {
    Tcp(Arc<TcpStream>),
    Unix(Arc<UnixStream>),
}

/// Calls a method that both kinds of sockets have.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($socket) => $call,
            Stream::Unix($socket) => $call,
        }
    };
}

/// What can be known of a connection's socket while the connection is served.
#[derive(Clone, Debug)]
pub(super) struct Handle(Stream);

impl Handle {
    /// Waits until the client has closed its side of the connection, whether or not what it sent before was read. A client
    /// that closes all of it looks the same until something is sent to it, so one that still waits for an answer counts too.
    pub async fn gone(&self) {
        // A socket is registered for reading and writing, so nothing but the end makes it ready for this.
        let ready = either!(&self.0, socket => socket.ready(Interest::PRIORITY).await);
        if !ready.is_ok_and(|ready| ready.is_read_closed()) {
            std::future::pending().await
        }
    }

    /// The address of this machine that the client connected to; none for Unix sockets.
    pub fn own_address(&self) -> Option<IpAddr> {
        match &self.0 {
            Stream::Tcp(socket) => Some(socket.local_addr().ok()?.ip().to_canonical()),
            Stream::Unix(_) => None,
        }
    }
}

/// A connection, whose first byte can be looked at before it is read.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    first: Option<u8>,
}

impl Socket {
    const fn new(stream: Stream) -> Self {
        Self { stream, first: None }
    }

    /// What can be known of it while it is served.
    pub fn handle(&self) -> Handle {
        Handle(self.stream.clone())
    }

    /// Waits for the first byte, which will be read again.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn first_byte(&mut self) -> io::Result<u8> {
        let byte = self.read_u8().await?;
        self.first = Some(byte);
        Ok(byte)
    }

    /// Tries to write each time that the socket is ready for it.
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
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
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
            // It was closed already, by either side.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}
