//! A connection of a check to a server: TCP, TLS over TCP, or a Unix socket. A [`ReadBudget`] bounds what a run reads from
//! it, whatever library uses it.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixSocket, UnixStream};

use super::read_budget::ReadBudget;
use super::tls::TlsStream;
use super::{io_error, shortage};
use crate::model::Problem;

/// How long to wait before retrying a Unix socket whose queue of connections is full.
const QUEUE_FULL_DELAY: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    read_budget: ReadBudget,
}

impl Stream {
    /// Wraps a TCP connection. Disables Nagle's algorithm, so that small requests are sent at once.
    ///
    /// # Errors
    /// If the connection is broken already.
    pub fn tcp(stream: TcpStream, read_budget: &ReadBudget) -> Result<Self, Problem> {
        stream
            .set_nodelay(true)
            .map_err(|error| io_error::problem(&error, &error))?;
        Ok(Self::new(Transport::Tcp(stream), read_budget))
    }

    /// Wraps a TLS connection.
    pub fn tls(stream: TlsStream, read_budget: &ReadBudget) -> Self {
        Self::new(Transport::Tls(Box::new(stream)), read_budget)
    }

    /// Connects to a Unix socket. If the server's queue of connections is full, this waits, as TCP does: such a server
    /// hangs, but it is not gone.
    ///
    /// # Errors
    /// Why the connection failed.
    pub async fn unix(path: &Path, read_budget: &ReadBudget) -> Result<Self, Problem> {
        loop {
            return match connect_unix(path).await {
                Ok(stream) => Ok(Self::new(Transport::Unix(stream), read_budget)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE_FULL_DELAY).await;
                    continue;
                }
                Err(error) => {
                    let message = format_args!("connecting to {}: {error}", path.display());
                    Err(io_error::problem(&error, message))
                }
            };
        }
    }

    fn new(transport: Transport, read_budget: &ReadBudget) -> Self {
        Self {
            transport,
            read_budget: read_budget.clone(),
        }
    }

    /// The application protocol that the TLS handshake negotiated (ALPN, RFC 7301).
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Tls(stream) => stream.connection().alpn_protocol(),
            Transport::Tcp(_) | Transport::Unix(_) => None,
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }
}

async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let socket = shortage::keep_reserve(UnixSocket::new_stream()?)?;
    socket.connect(path).await
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(match &mut this.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, into),
            Transport::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        })?;
        Poll::Ready(this.read_budget.spend(into.filled().len() - before))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::model::Reason;

    #[tokio::test]
    async fn the_read_budget_is_renewed_for_every_run() {
        let budget = ReadBudget::new(4);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(Transport::Unix(ours), &budget);
        let mut buffer = [0; 4];
        theirs.write_all(b"abcd").await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        budget.renew();
        theirs.write_all(b"efghi").await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"efgh");
        let error = stream.read_exact(&mut buffer[..1]).await.unwrap_err();
        assert_eq!(error.to_string(), "it sent more than 4 bytes");
        assert_eq!(io_error::reason(&error), Reason::Limit);
    }

    #[tokio::test]
    async fn the_problem_of_a_missing_socket_names_its_path() {
        let problem = Stream::unix(Path::new("/nonexistent/x.sock"), &ReadBudget::new(1)).await;
        let problem = problem.unwrap_err();
        assert_eq!(problem.reason, Reason::Unreachable);
        assert!(
            problem
                .message()
                .starts_with("connecting to /nonexistent/x.sock: No such file"),
            "{problem}"
        );
    }

    #[tokio::test]
    async fn connecting_waits_while_the_queue_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(0).unwrap();
        let budget = ReadBudget::new(8);
        let first = Stream::unix(&path, &budget).await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(200), Stream::unix(&path, &budget)).await;
        assert!(second.is_err(), "{second:?}");
        let (third, accepted) = tokio::join!(Stream::unix(&path, &budget), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            listener.accept().await
        });
        third.unwrap();
        drop((first, accepted));
    }
}
