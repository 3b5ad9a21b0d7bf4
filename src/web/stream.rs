//! A connection's stream with a limit to every wait: for a request, between requests, and for the client to read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::{Activity, Phase};

/// How long a request may take to arrive, from the connection's start or its own first byte on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may wait between requests; longer than usual scrape intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the client may take to read [`MIN_PROGRESS`] of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// In bytes: less than this within [`WRITE_TIMEOUT`] is no reading.
const MIN_PROGRESS: usize = 16 * 1024;

/// How long an answer over HTTP/2 may wait for its client: there the client may stop it without letting the socket fill up,
/// by not opening its window (RFC 9113, section 5.2).
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What goes over a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Whatever comes between requests is the next one.
    Http1,
    /// Frames of other kinds come between requests.
    Http2,
}

/// A stream that fails with `TimedOut` when its client is too slow, and keeps its connection's phase.
#[derive(Debug)]
pub(super) struct Limited<S> {
    stream: S,
    protocol: Protocol,
    activity: Arc<Activity>,
    read_deadline: Pin<Box<Sleep>>,
    /// Runs while written bytes wait for the client.
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

    /// Fails when nothing came for too long. While a request is being answered nothing has to come.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let (phase, since, owes) = self.activity.owes();
            let (limit, is_running) = match phase {
                Phase::New | Phase::Receiving => (REQUEST_TIMEOUT, true),
                Phase::Idle | Phase::Finishing => (IDLE_TIMEOUT, true),
                // An answer may take its time, and events may be few: only the client must not keep them waiting.
                Phase::Busy if self.protocol == Protocol::Http2 => (STALL_TIMEOUT, owes),
                Phase::Busy => return Poll::Pending,
            };
            let set = self.read_deadline.deadline();
            let deadline = match is_running {
                true => since + limit,
                // That something is owed comes without a poll, so it is looked for now and then.
                false if set > Instant::now() => set,
                false => Instant::now() + limit,
            };
            if set != deadline {
                self.read_deadline.as_mut().reset(deadline);
            }
            ready!(self.read_deadline.as_mut().poll(cx));
            if is_running {
                return Poll::Ready(timed_out("nothing that was waited for came in time"));
            }
        }
    }

    /// Counts what was written, or fails when the client does not read.
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

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
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

    /// hyper flushes when it has written all it had: nothing waits for the client now.
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
    async fn frames_of_http2_do_not_prolong_a_wait_and_answers_may_not_stand_still() {
        for (phase, limit) in [
            (Phase::New, REQUEST_TIMEOUT),
            (Phase::Idle, IDLE_TIMEOUT),
            (Phase::Busy, STALL_TIMEOUT),
        ] {
            let (mut stream, mut theirs, activity) = pair();
            stream.protocol = Protocol::Http2;
            activity.enter(phase);
            activity.begin_owing();
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
    async fn over_http2_too_an_answer_may_take_its_time_but_its_client_may_not() {
        let (mut stream, _theirs, activity) = pair();
        stream.protocol = Protocol::Http2;
        activity.enter(Phase::Busy);
        assert!(timeout(LONG, stream.read_u8()).await.is_err());
        let owed = Arc::clone(&activity);
        tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            owed.begin_owing();
        });
        let waited = read_is_given_up(&mut stream).await;
        assert_eq!(waited, 100 + STALL_TIMEOUT.as_secs());
    }

    /// How long a read waits until it is given up, in whole seconds.
    async fn read_is_given_up(stream: &mut Limited<DuplexStream>) -> u64 {
        let begun = Instant::now();
        let error = timeout(LONG, stream.read_u8()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_is_not_waited_for_long() {
        let (mut stream, _theirs, _) = pair();
        assert_eq!(read_is_given_up(&mut stream).await, REQUEST_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_a_request_does_not_prolong_the_wait() {
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
    async fn between_requests_the_wait_is_longer_and_ends_with_the_first_byte() {
        let (mut stream, mut theirs, activity) = pair();
        activity.enter(Phase::Idle);
        sleep(Duration::from_secs(100)).await;
        theirs.write_u8(b'x').await.unwrap();
        stream.read_u8().await.unwrap();
        assert_eq!(activity.get().0, Phase::Receiving);
        assert_eq!(read_is_given_up(&mut stream).await, REQUEST_TIMEOUT.as_secs());
        activity.enter(Phase::Idle);
        assert_eq!(read_is_given_up(&mut stream).await, IDLE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_request_is_answered_nothing_has_to_come() {
        let (mut stream, _theirs, activity) = pair();
        activity.enter(Phase::Busy);
        assert!(timeout(LONG, stream.read_u8()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (mut stream, mut theirs, activity) = pair();
        activity.enter(Phase::Busy);
        let begun = Instant::now();
        let written = timeout(LONG, stream.write_all(&[0; 10 * BUFFER])).await;
        let error = written.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        // Nor does it help to read a little.
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

    /// A new pair, whose other end replaces `theirs`.
    fn pair_with(theirs: &mut DuplexStream) -> Limited<DuplexStream> {
        let (stream, other, activity) = pair();
        activity.enter(Phase::Busy);
        *theirs = other;
        stream
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_steadily_gets_all() {
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
    async fn a_finished_response_makes_the_connection_idle_once_flushed() {
        let (mut stream, _theirs, activity) = pair();
        activity.enter(Phase::Finishing);
        stream.write_all(b"x").await.unwrap();
        assert_eq!(activity.get().0, Phase::Finishing);
        stream.flush().await.unwrap();
        assert_eq!(activity.get().0, Phase::Idle);
    }
}
