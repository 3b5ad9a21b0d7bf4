//! The connection of a dialogue, and the one of tcp and unix checks: a stream of bytes that may start TLS.

use std::fmt;
use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::{Problem, Reason};
use crate::net::io_error;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::Stream;
use crate::net::tls::TlsClient;

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 4 << 10;

/// What was received.
#[derive(Debug)]
pub enum Received {
    /// Bytes, or one message.
    Data(Vec<u8>),
    /// The end of the connection.
    End,
}

/// The connection of a dialogue.
pub trait Link: Send {
    /// The phase of the run during the dialogue.
    const PHASE: Phase;

    /// The server, for messages.
    fn peer(&self) -> &str;

    /// Waits for more. `doing` is the current step, for messages.
    fn receive(&mut self, doing: &str) -> impl Future<Output = Result<Received, Problem>> + Send;

    /// Sends.
    fn send(&mut self, bytes: Vec<u8>, doing: &str) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Starts TLS.
    fn start_tls(
        &mut self,
        recorder: &mut RunRecorder<'_>,
    ) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// The transport of a stream: a plain connection, or TLS over any other transport.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// A stream of bytes.
pub struct StreamLink<'c> {
    /// `None` only while TLS starts.
    transport: Option<Box<dyn Transport>>,
    tls: Option<&'c mut TlsClient>,
    peer: &'c str,
    /// The name that the certificate must be for.
    host: &'c str,
}

impl<'c> StreamLink<'c> {
    /// A connection to `peer`. If it starts TLS, its certificate must be for `host`.
    pub fn new(stream: Stream, tls: Option<&'c mut TlsClient>, peer: &'c str, host: &'c str) -> Self {
        Self {
            transport: Some(Box::new(stream)),
            tls,
            peer,
            host,
        }
    }

    fn transport(&mut self) -> io::Result<&mut Box<dyn Transport>> {
        self.transport
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let transport = self.transport()?;
        transport.write_all(bytes).await?;
        transport.flush().await
    }

    async fn read(&mut self) -> io::Result<Received> {
        let mut chunk = [0; CHUNK_BYTES];
        match self.transport()?.read(&mut chunk).await {
            Ok(0) => Ok(Received::End),
            Ok(count) => Ok(Received::Data(chunk[..count].to_vec())),
            // The end of a TLS connection without close_notify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Received::End),
            Err(error) => Err(error),
        }
    }

    /// The problem of an I/O error on the connection.
    fn problem(&self, error: &io::Error, doing: &str) -> Problem {
        io_error::problem(error, format_args!("{}, {doing}: {error}", self.peer))
    }
}

impl fmt::Debug for StreamLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLink")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Link for StreamLink<'_> {
    const PHASE: Phase = Phase::Processing;

    fn peer(&self) -> &str {
        self.peer
    }

    async fn receive(&mut self, doing: &str) -> Result<Received, Problem> {
        let received = self.read().await;
        received.map_err(|error| self.problem(&error, doing))
    }

    async fn send(&mut self, bytes: Vec<u8>, doing: &str) -> Result<(), Problem> {
        let sent = self.write(&bytes).await;
        sent.map_err(|error| self.problem(&error, doing))
    }

    async fn start_tls(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let (Some(tls), Some(transport)) = (self.tls.as_mut(), self.transport.take()) else {
            // Settings with a step that starts TLS always have these.
            return Err(Problem::new(Reason::Internal, "the settings of TLS are missing"));
        };
        let doing = format!("in the TLS handshake with {} (is it a port with TLS?)", self.peer);
        recorder.at(Step::Doing(doing.into()));
        let secured = tls
            .handshake_over(transport, &self.peer, self.host, recorder)
            .await?;
        self.transport = Some(Box::new(secured));
        Ok(())
    }
}
