//! A session of a database: statements go out together and are answered in their order, and the connection is polled
//! beside them, in the same task.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, Error, SimpleQueryMessage, SimpleQueryStream};

use super::watched::Watched;

/// How long the server may take to end a session that is to be replaced.
const MAX_FAREWELL: Duration = Duration::from_millis(500);

/// What moves the bytes.
pub type Wire = Connection<Watched, NoTlsStream>;
/// The first row of an answer; a value is absent where it is NULL or no UTF-8.
pub type Row = Vec<Option<String>>;
/// The answer to a statement that was sent.
pub type Pending = Pin<Box<SimpleQueryStream>>;

/// A session.
pub struct Session {
    client: Option<Client>,
    wire: Option<Wire>,
    /// Whether the server refused to show its statistics.
    pub refuses_statistics: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// A new session.
    pub fn new((client, wire): (Client, Wire)) -> Self {
        Self {
            client: Some(client),
            wire: Some(wire),
            refuses_statistics: false,
        }
    }

    /// The server's version, as it calls it.
    pub fn version(&self) -> Option<&str> {
        self.wire.as_ref()?.parameter("server_version")
    }

    /// Sends statements as one message of the simple protocol, together with what else is sent before the next answer is
    /// waited for.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, statements: &str) -> Result<Option<Pending>, Error> {
        match &self.client {
            // This only puts the message into a queue.
            Some(client) => client
                .simple_query_raw(statements)
                .await
                .map(|answer| Some(Box::pin(answer))),
            None => Ok(None),
        }
    }

    /// Waits for the whole answer to what was sent, and returns the first row of its last statement, which comes after
    /// `others` other ones.
    ///
    /// # Errors
    /// What the server says is wrong, or why there is no answer.
    pub async fn first_row(&mut self, answer: Option<Pending>, others: usize) -> Result<Option<Row>, Error> {
        let Some(mut answer) = answer else {
            return Ok(None);
        };
        let mut first = None;
        let mut ended = 0;
        let reading = async {
            while let Some(message) = answer.next().await {
                match message? {
                    SimpleQueryMessage::CommandComplete(_) => ended += 1,
                    SimpleQueryMessage::Row(row) if ended == others && first.is_none() => {
                        let value = |index| row.try_get(index).ok().flatten().map(str::to_owned);
                        first = Some((0..row.len()).map(value).collect());
                    }
                    // The rest is read and dropped, as far as a run may read.
                    _ => {}
                }
            }
            Ok(first)
        };
        drive(&mut self.wire, reading).await
    }

    /// Ends the session, and waits until the server has ended it too, so that the next one does not meet it.
    pub async fn close(mut self) {
        self.client = None;
        if let Some(wire) = self.wire.take() {
            // Where it does not end, dropping it ends our side.
            let _ = tokio::time::timeout(MAX_FAREWELL, wire).await;
        }
    }
}

impl Drop for Session {
    /// Says goodbye, as far as that does not take waiting. A server that only sees the connection end notes in its log
    /// that a client was lost.
    fn drop(&mut self) {
        self.client = None;
        if let Some(wire) = &mut self.wire {
            let _ = Pin::new(wire).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Waits for an answer while the connection is driven. What made the connection end is told instead of the mere fact.
async fn drive<T>(
    wire: &mut Option<Wire>,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut answer = pin!(answer);
    let mut fault = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = answer.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        while let Some(connection) = wire {
            match connection.poll_message(cx) {
                // Notices, which are bounded by what a run may read.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Pending => break,
                Poll::Ready(ended) => {
                    fault = ended.and_then(Result::err);
                    // What waits for the rest of an answer learns of the end by this.
                    *wire = None;
                }
            }
        }
        match (answer.as_mut().poll(cx), fault.take()) {
            (Poll::Ready(Err(error)), Some(fault)) if error.is_closed() => Poll::Ready(Err(fault)),
            (Poll::Pending, found) => {
                fault = found;
                Poll::Pending
            }
            (done, _) => done,
        }
    })
    .await
}
