//! A stream with timeouts for every wait: for a request, between requests, and for the client to read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::{Activity, Phase};

/// How long a request may take to arrive: from the start of the connection, or from its own first byte.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between requests. Longer than usual scrape intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the client may take to read [`MIN_PROGRESS`] of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The bytes that a client must read within [`WRITE_TIMEOUT`].
const MIN_PROGRESS: usize = 16 * 1024;

/// How long an HTTP/2 response may stall. With a closed flow-control window (RFC 9113, section 5.2) a client can stall it
/// without filling the socket.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The protocol of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Bytes between requests begin the next request.
    Http1,
    /// Other frames may arrive between requests.
    Http2,
}

/// A stream that fails with `TimedOut` when its client is too slow, and tracks the phase of its connection.
#[derive(Debug)]
pub(super) struct Limited<S> {
    stream: S,
    protocol: Protocol,
    activity: Arc<Activity>,
    read_deadline: Pin<Box<Sleep>>,
    /// Set while written bytes wait for the client.
    write_deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes written since the write deadline was set.
    progress: usize,
}

impl<S> Limited<S> {
    pub fn new(stream: S, protocol: Protocol, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            protocol,
            activity,
            read_deadline: Box::pin(sleep_until(Instant::now() + REQUEST_TIMEOUT)),
            write_deadline: None,
            progress: 0,
        }
    }

    /// Fails when nothing arrives for too long. While a request is in progress, nothing needs to arrive.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let (phase, since, is_stalled) = self.activity.phase_and_stall();
            let (limit, is_running) = match phase {
                Phase::New | Phase::Receiving => (REQUEST_TIMEOUT, true),
                Phase::Idle | Phase::Finishing => (IDLE_TIMEOUT, true),
                // A response may be slow and events rare. Only a client that does not read is cut off.
                Phase::Busy if self.protocol == Protocol::Http2 => (STALL_TIMEOUT, is_stalled),
                Phase::Busy => return Poll::Pending,
            };
            let set = self.read_deadline.deadline();
            let deadline = match is_running {
                true => since + limit,
                // The start of a stall does not wake this task, so it checks regularly.
                false if set > Instant::now() => set,
                false => Instant::now() + limit,
            };
            if set != deadline {
                self.read_deadline.as_mut().reset(deadline);
            }
            ready!(self.read_deadline.as_mut().poll(cx));
            if is_running {
                return Poll::Ready(timed_out("the client did not send its request in time"));
            }
        }
    }

    /// Counts written bytes, or fails if the client does not read.
    fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.progress += bytes;
            if self.progress >= MIN_PROGRESS {
                self.write_deadline = None;
                self.progress = 0;
                self.activity.advance(Phase::Busy, Phase::Busy);
            }
        }
        if written.is_pending() {
            let deadline = self.write_deadline.get_or_insert_with(|| {
                self.progress = 0;
                Box::pin(sleep_until(Instant::now() + WRITE_TIMEOUT))
            });
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(timed_out("the client does not read its response")));
        }
        written
    }
}

fn timed_out(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before && self.protocol == Protocol::Http1 {
                    self.activity.advance(Phase::Idle, Phase::Receiving);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_read_deadline(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_progress(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.poll_progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written everything, so nothing waits for the client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.write_deadline = None;
        self.activity.advance(Phase::Finishing, Phase::Idle);
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    const BUFFER: usize = 1024;
    const LONG: Duration = Duration::from_secs(3600);

    fn pair() -> (Limited<DuplexStream>, DuplexStream, Arc<Activity>) {
        let activity = Activity::new();
        let (ours, theirs) = duplex(BUFFER);
        let stream = Limited::new(ours, Protocol::Http1, Arc::clone(&activity));
        (stream, theirs, activity)
    }

    #[tokio::test(start_paused = true)]
    async fn http2_frames_extend_no_timeout_and_stalled_responses_time_out() {
        for (phase, limit) in [
            (Phase::New, REQUEST_TIMEOUT),
            (Phase::Idle, IDLE_TIMEOUT),
            (Phase::Busy, STALL_TIMEOUT),
        ] {
            let (mut stream, mut theirs, activity) = pair();
            stream.protocol = Protocol::Http2;
            activity.enter(phase);
            activity.begin_stall();
            let begun = Instant::now();
            let ping = tokio::spawn(async move {
                while theirs.write_u8(b'x').await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
            });
            let mut all = Vec::new();
            let read = timeout(LONG, stream.read_to_end(&mut all)).await;
            assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed().as_secs(), limit.as_secs(), "{phase:?}");
            ping.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_http2_response_has_no_timeout_until_it_stalls() {
        let (mut stream, _theirs, activity) = pair();
        stream.protocol = Protocol::Http2;
        activity.enter(Phase::Busy);
        assert!(timeout(LONG, stream.read_u8()).await.is_err());
        let stalled = Arc::clone(&activity);
        tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            stalled.begin_stall();
        });
        let waited = read_timeout(&mut stream).await;
        assert_eq!(waited, 100 + STALL_TIMEOUT.as_secs());
    }

    /// Returns after how many whole seconds a read times out.
    async fn read_timeout(stream: &mut Limited<DuplexStream>) -> u64 {
        let begun = Instant::now();
        let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_has_a_timeout() {
        let (mut stream, _theirs, _) = pair();
        assert_eq!(read_timeout(&mut stream).await, REQUEST_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn sending_slowly_does_not_extend_the_timeout() {
        let (mut stream, mut theirs, _) = pair();
        let begun = Instant::now();
        let drip = tokio::spawn(async move {
            while theirs.write_u8(b'x').await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let mut all = Vec::new();
        let read = timeout(LONG, stream.read_to_end(&mut all)).await;
        let error = read.unwrap().unwrap_err();
        assert_eq!((error.kind(), all.len()), (io::ErrorKind::TimedOut, 10));
        assert_eq!(begun.elapsed().as_secs(), REQUEST_TIMEOUT.as_secs());
        drip.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_timeout_is_longer_and_ends_with_the_first_byte() {
        let (mut stream, mut theirs, activity) = pair();
        activity.enter(Phase::Idle);
        sleep(Duration::from_secs(100)).await;
        theirs.write_u8(b'x').await.unwrap();
        stream.read_u8().await.unwrap();
        assert_eq!(activity.phase().0, Phase::Receiving);
        assert_eq!(read_timeout(&mut stream).await, REQUEST_TIMEOUT.as_secs());
        activity.enter(Phase::Idle);
        assert_eq!(read_timeout(&mut stream).await, IDLE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_has_no_read_timeout() {
        let (mut stream, _theirs, activity) = pair();
        activity.enter(Phase::Busy);
        assert!(timeout(LONG, stream.read_u8()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_times_out() {
        let (mut stream, mut theirs, activity) = pair();
        activity.enter(Phase::Busy);
        let begun = Instant::now();
        let written = timeout(LONG, stream.write_all(&[0; 10 * BUFFER])).await;
        let error = written.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        // Reading a little does not help.
        let (mut stream, begun) = (pair_with(&mut theirs), Instant::now());
        let sip = tokio::spawn(async move {
            while theirs.read_u8().await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let written = timeout(LONG, stream.write_all(&[0; 10 * BUFFER])).await;
        let error = written.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        sip.abort();
    }

    /// Creates a busy pair, and replaces `theirs` with its other end.
    fn pair_with(theirs: &mut DuplexStream) -> Limited<DuplexStream> {
        let (stream, other, activity) = pair();
        activity.enter(Phase::Busy);
        *theirs = other;
        stream
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_steadily_gets_everything() {
        let (mut stream, mut theirs, activity) = pair();
        activity.enter(Phase::Busy);
        let read = tokio::spawn(async move {
            let mut all = 0;
            let mut buffer = [0; BUFFER];
            loop {
                match theirs.read(&mut buffer).await.unwrap() {
                    0 => return all,
                    some => all += some,
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        stream.write_all(&[0; 100 * BUFFER]).await.unwrap();
        stream.flush().await.unwrap();
        assert!(begun.elapsed() > WRITE_TIMEOUT * 3);
        drop(stream);
        assert_eq!(read.await.unwrap(), 100 * BUFFER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_the_response_is_flushed() {
        let (mut stream, _theirs, activity) = pair();
        activity.enter(Phase::Finishing);
        stream.write_all(b"x").await.unwrap();
        assert_eq!(activity.phase().0, Phase::Finishing);
        stream.flush().await.unwrap();
        assert_eq!(activity.phase().0, Phase::Idle);
    }
}
