//! A connection on which the answer counts, whatever became of the request. A server may answer before it has read the
//! request, or all of it (RFC 9112, section 9.6), and then close: writing fails while a whole answer waits to be read.
//! Without this, hyper drops such an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes that holds back two things: what comes before the request is written, which hyper takes for an error, and
/// errors of writing to a peer that is gone, until all that came from it has been read.
#[derive(Debug)]
pub struct EarlyResponse<S> {
    inner: S,
    /// Whether writing has begun.
    has_asked: bool,
    /// Who waits to read until then.
    reader: Option<Waker>,
    /// Why writing failed. From then on, what is written goes nowhere.
    lost: Option<io::Error>,
}

impl<S> EarlyResponse<S> {
    /// Over a new connection on which the client speaks first.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            has_asked: false,
            reader: None,
            lost: None,
        }
    }

    /// Notes that writing begins, so that reading may.
    fn ask(&mut self) {
        self.has_asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The outcome of writing: where the peer is gone, `instead`, and the error is kept.
    fn held<T>(&mut self, written: Poll<io::Result<T>>, instead: T) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.lost = Some(error);
                Poll::Ready(Ok(instead))
            }
            other => other,
        }
    }
}

/// Whether an error of writing says that the peer does not take any more. It may still have said something.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for EarlyResponse<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_asked {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
        let is_end = into.filled().len() == before && into.remaining() > 0;
        // The error was reported to writing, so that reading shows an end that the peer did not announce. Where it did
        // (BrokenPipe), the end is one.
        match this
            .lost
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
        this.ask();
        if this.lost.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.held(written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.ask();
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        if this.lost.is_some() {
            return Poll::Ready(Ok(whole));
        }
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        this.held(written, whole)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lost.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.held(flushed, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lost.is_some() {
            return Poll::Ready(Ok(()));
        }
        let ended = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.held(ended, ())
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
        theirs.write_all(b"answer").await.unwrap();
        let mut buffer = [0; 6];
        let early = tokio::time::timeout(Duration::from_millis(50), ours.read_exact(&mut buffer)).await;
        assert!(early.is_err(), "{early:?}");
        // Who waits already is woken.
        let (mut reading, mut writing) = tokio::io::split(ours);
        let reading = tokio::spawn(async move { reading.read_exact(&mut [0; 6]).await.map(drop) });
        tokio::task::yield_now().await;
        writing.write_all(b"request").await.unwrap();
        reading.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_came_is_read_though_writing_fails() {
        for (closes_first, is_fine) in [(true, true), (false, false)] {
            let (mut ours, mut theirs) = pair().await;
            theirs.write_all(b"answer").await.unwrap();
            if closes_first {
                theirs.shutdown().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            theirs.set_zero_linger().unwrap();
            drop(theirs);
            // The reset shows at some write; until then the system takes what is written.
            while ours.lost.is_none() {
                ours.write_all(b"request").await.unwrap();
                ours.flush().await.unwrap();
            }
            let mut answer = Vec::new();
            let end = ours.read_to_end(&mut answer).await;
            assert_eq!(answer, b"answer");
            assert_eq!(end.is_ok(), is_fine, "{end:?}");
        }
    }
}
