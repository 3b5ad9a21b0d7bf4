//! A connection of a check to a server: TCP, TLS over it, or a Unix socket. What a run may read of it is bounded, whatever
//! library speaks over it.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixSocket, UnixStream};

use super::tls::Secured;
use super::{dial, shortage};
use crate::model::Problem;

/// How soon a server whose queue of connections is full is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection is kept between runs: what changed about the server's names, certificates, credentials or limits
/// is noticed then.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(60);

/// How many bytes may still be read in this run. The check keeps it and renews it, the stream counts it down.
#[derive(Clone, Debug)]
pub struct ReadBudget {
    left: Arc<AtomicU64>,
    per_run: u64,
}

/// The peer sent more in one run than is allowed.
#[derive(Debug, thiserror::Error)]
#[error("it sent more than {per_run} bytes")]
pub struct TooMuch {
    per_run: u64,
}

impl ReadBudget {
    /// `per_run` bytes a run.
    pub fn new(per_run: u64) -> Self {
        Self {
            left: Arc::new(AtomicU64::new(per_run)),
            per_run,
        }
    }

    /// Begins a run.
    pub fn renew(&self) {
        self.left.store(self.per_run, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let left = self.left.load(Ordering::Relaxed);
        if bytes > left {
            let too_much = TooMuch {
                per_run: self.per_run,
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, too_much));
        }
        self.left.store(left - bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// What carries the bytes.
#[derive(Debug)]
enum Carrier {
    Tcp(TcpStream),
    Tls(Box<Secured>),
    Unix(UnixStream),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Stream {
    carrier: Carrier,
    allowance: ReadBudget,
}

impl Stream {
    /// Over a TCP connection. Requests to servers are small: each goes out at once, without Nagle's algorithm.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub fn tcp(stream: TcpStream, allowance: &ReadBudget) -> Result<Self, Problem> {
        stream
            .set_nodelay(true)
            .map_err(|error| dial::problem(&error, &error))?;
        Ok(Self::over(Carrier::Tcp(stream), allowance))
    }

    /// Over TLS.
    pub fn tls(stream: Secured, allowance: &ReadBudget) -> Self {
        Self::over(Carrier::Tls(Box::new(stream)), allowance)
    }

    /// Connects to a Unix socket. Where the server's queue of connections is full, which the system tells at once instead of
    /// waiting as it does with TCP, this waits: such a server hangs, it is not gone.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn unix(path: &Path, allowance: &ReadBudget) -> Result<Self, Problem> {
        loop {
            return match connect_unix(path).await {
                Ok(stream) => Ok(Self::over(Carrier::Unix(stream), allowance)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE_PAUSE).await;
                    continue;
                }
                Err(error) => {
                    let message = format_args!("connecting to {}: {error}", path.display());
                    Err(dial::problem(&error, message))
                }
            };
        }
    }

    fn over(carrier: Carrier, allowance: &ReadBudget) -> Self {
        Self {
            carrier,
            allowance: allowance.clone(),
        }
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
        ready!(match &mut this.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(cx, into),
            Carrier::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        })?;
        Poll::Ready(this.allowance.take(into.filled().len() - before))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::model::Reason;

    #[tokio::test]
    async fn a_run_reads_what_it_is_allowed_and_the_next_one_again() {
        let allowance = ReadBudget::new(4);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::over(Carrier::Unix(ours), &allowance);
        let mut buffer = [0; 4];
        theirs.write_all(b"abcd").await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        allowance.renew();
        theirs.write_all(b"efghi").await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"efgh");
        let error = stream.read_exact(&mut buffer[..1]).await.unwrap_err();
        assert_eq!(error.to_string(), "it sent more than 4 bytes");
        assert_eq!(dial::reason(&error), Reason::Limit);
    }

    #[tokio::test]
    async fn a_missing_socket_is_said_by_its_path() {
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
    async fn a_server_that_accepts_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(0).unwrap();
        let allowance = ReadBudget::new(8);
        let first = Stream::unix(&path, &allowance).await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(200), Stream::unix(&path, &allowance)).await;
        assert!(second.is_err(), "{second:?}");
        let (third, accepted) = tokio::join!(Stream::unix(&path, &allowance), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            listener.accept().await
        });
        third.unwrap();
        drop((first, accepted));
    }
}
