//! A database session. Statements are sent together and answered in order. The connection is polled in the same task while a
//! response is awaited.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, Error, SimpleQueryMessage, SimpleQueryStream};

use super::checked_stream::CheckedStream;

/// How long to wait until the server ends a session that is replaced.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The connection. It transfers data only while it is polled.
pub type Wire = Connection<CheckedStream, NoTlsStream>;
/// The first row of a result. A value is absent if it is NULL or not UTF-8.
pub type Row = Vec<Option<String>>;
/// The response to a statement that was sent.
pub type Pending = Pin<Box<SimpleQueryStream>>;

/// A session.
pub struct PostgresSession {
    client: Option<Client>,
    wire: Option<Wire>,
    /// Whether the server refused access to its statistics.
    pub refuses_statistics: bool,
}

impl std::fmt::Debug for PostgresSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSession").finish_non_exhaustive()
    }
}

impl PostgresSession {
    /// A new session.
    pub fn new((client, wire): (Client, Wire)) -> Self {
        Self {
            client: Some(client),
            wire: Some(wire),
            refuses_statistics: false,
        }
    }

    /// The server's version, as reported by the server.
    pub fn version(&self) -> Option<&str> {
        self.wire.as_ref()?.parameter("server_version")
    }

    /// Queues statements as one message of the simple protocol. They go out with everything that is queued before the next
    /// response is awaited.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send(&mut self, statements: &str) -> Result<Option<Pending>, Error> {
        match &self.client {
            // This only queues the message.
            Some(client) => client
                .simple_query_raw(statements)
                .await
                .map(|response| Some(Box::pin(response))),
            None => Ok(None),
        }
    }

    /// Waits for the complete response. Returns the first row of its last statement, which `preceding` other statements
    /// precede.
    ///
    /// # Errors
    /// The server's error, or why there is no response.
    pub async fn first_row(
        &mut self,
        response: Option<Pending>,
        preceding: usize,
    ) -> Result<Option<Row>, Error> {
        let Some(mut response) = response else {
            return Ok(None);
        };
        let mut first = None;
        let mut completed = 0;
        let reading = async {
            while let Some(message) = response.next().await {
                match message? {
                    SimpleQueryMessage::CommandComplete(_) => completed += 1,
                    SimpleQueryMessage::Row(row) if completed == preceding && first.is_none() => {
                        let value = |index| row.try_get(index).ok().flatten().map(str::to_owned);
                        first = Some((0..row.len()).map(value).collect());
                    }
                    // The remaining rows are read and dropped, up to the read budget.
                    _ => {}
                }
            }
            Ok(first)
        };
        drive(&mut self.wire, reading).await
    }

    /// Closes the session, and waits until the server has closed it too, so that they do not count together with the next.
    pub async fn close(mut self) {
        self.client = None;
        if let Some(wire) = self.wire.take() {
            // After the timeout, dropping the connection closes our side.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, wire).await;
        }
    }
}

impl Drop for PostgresSession {
    /// Sends Terminate, if that is possible without waiting. Otherwise the server logs a lost client.
    fn drop(&mut self) {
        self.client = None;
        if let Some(wire) = &mut self.wire {
            let _ = Pin::new(wire).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Waits for a response while polling the connection. If the connection fails, returns its error.
async fn drive<T>(
    wire: &mut Option<Wire>,
    response: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut response = pin!(response);
    let mut fault = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = response.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        while let Some(connection) = wire {
            match connection.poll_message(cx) {
                // Notices. The read budget bounds them.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Pending => break,
                Poll::Ready(ended) => {
                    fault = ended.and_then(Result::err);
                    // This ends the wait for the rest of the response.
                    *wire = None;
                }
            }
        }
        match (response.as_mut().poll(cx), fault.take()) {
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
