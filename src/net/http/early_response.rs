//! Accepts a response even if the request could not be written. A server may respond before it has read the whole request
//! (RFC 9112, section 9.6) and then close the connection: writing fails while a complete response is ready to be read.
//! hyper alone would drop such a response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that delays two things: bytes that arrive before the request is written, since hyper treats them as an error, and
/// write errors of a closed connection, until everything that arrived has been read.
#[derive(Debug)]
pub struct EarlyResponse<S> {
    inner: S,
    /// Whether writing has begun.
    has_written: bool,
    /// The reader that waits until writing begins.
    reader: Option<Waker>,
    /// Why writing failed. Later writes are discarded.
    write_error: Option<io::Error>,
}

impl<S> EarlyResponse<S> {
    /// Wraps a new connection on which the client sends first.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            has_written: false,
            reader: None,
            write_error: None,
        }
    }

    /// Begins writing, and wakes the reader.
    fn begin_write(&mut self) {
        self.has_written = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Replaces the error of a closed connection by `success`, and stores the error for the reader.
    fn delay_error<T>(&mut self, result: Poll<io::Result<T>>, success: T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.write_error = Some(error);
                Poll::Ready(Ok(success))
            }
            other => other,
        }
    }
}

/// Whether a write error means that the peer closed the connection. Its response may still be ready to be read.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for EarlyResponse<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_written {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
        let is_end = into.filled().len() == before && into.remaining() > 0;
        // The system reports a reset to the writer only. The reader then sees a regular end, so the error is returned here.
        // After BrokenPipe the peer did close the connection regularly.
        match this
            .write_error
            .take_if(|error| is_end && error.kind() != io::ErrorKind::BrokenPipe)
        {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EarlyResponse<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin_write();
        if this.write_error.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.delay_error(written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin_write();
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        if this.write_error.is_some() {
            return Poll::Ready(Ok(whole));
        }
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        this.delay_error(written, whole)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.write_error.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.delay_error(flushed, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.write_error.is_some() {
            return Poll::Ready(Ok(()));
        }
        let ended = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.delay_error(ended, ())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (EarlyResponse<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (EarlyResponse::new(ours.unwrap()), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn nothing_is_read_before_something_is_written() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"response").await.unwrap();
        let mut buffer = [0; 6];
        let early = tokio::time::timeout(Duration::from_millis(50), ours.read_exact(&mut buffer)).await;
        assert!(early.is_err(), "{early:?}");
        // A waiting reader is woken.
        let (mut reading, mut writing) = tokio::io::split(ours);
        let reading = tokio::spawn(async move { reading.read_exact(&mut [0; 6]).await.map(drop) });
        tokio::task::yield_now().await;
        writing.write_all(b"request").await.unwrap();
        reading.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_response_is_read_although_writing_fails() {
        for (closes_first, is_fine) in [(true, true), (false, false)] {
            let (mut ours, mut theirs) = pair().await;
            theirs.write_all(b"response").await.unwrap();
            if closes_first {
                theirs.shutdown().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            theirs.set_zero_linger().unwrap();
            drop(theirs);
            // Writes succeed until the system has seen the reset.
            while ours.write_error.is_none() {
                ours.write_all(b"request").await.unwrap();
                ours.flush().await.unwrap();
            }
            let mut response = Vec::new();
            let end = ours.read_to_end(&mut response).await;
            assert_eq!(response, b"response");
            assert_eq!(end.is_ok(), is_fine, "{end:?}");
        }
    }
}
