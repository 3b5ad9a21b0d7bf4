//! Messages over a WebSocket, as the connection of a dialogue. The library reads and writes frames. Its limits bound what a server
//! makes this process store.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::check::dialogue::{Link, MAX_MESSAGE_BYTES, Received};
use crate::model::{Problem, Reason};
use crate::net::io_error;
use crate::net::run_recorder::{Phase, RunRecorder};

/// How much is read at once. Allocated for every run.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// The messages of one WebSocket.
#[derive(Debug)]
pub struct MessageLink<S> {
    socket: WebSocketStream<S>,
    peer: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> MessageLink<S> {
    /// Starts to exchange messages over an upgraded connection.
    pub async fn new(stream: S, peer: String) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        Self {
            socket: WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await,
            peer,
        }
    }

    /// Sends a close frame, so that the server does not log an aborted connection. Does not wait for the server's: the result of the
    /// run is known.
    pub async fn close(&mut self) {
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        };
        let _ = self.socket.close(Some(normal)).await;
    }

    fn problem(&self, error: &Error, doing: &str) -> Problem {
        let peer = &self.peer;
        let reason = match error {
            Error::Io(error) => {
                return io_error::problem(error, format_args!("{peer}, {doing}: {error}"));
            }
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Reason::Closed,
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                let message =
                    format_args!("{peer}, {doing}: it sent a message of more than {MAX_MESSAGE_BYTES} bytes");
                return Problem::new(Reason::Limit, message);
            }
            _ => Reason::Protocol,
        };
        Problem::new(reason, format_args!("{peer}, {doing}: {error}"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for MessageLink<S> {
    const PHASE: Phase = Phase::Transfer;

    fn peer(&self) -> &str {
        &self.peer
    }

    async fn receive(&mut self, doing: &str) -> Result<Received, Problem> {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => Ok(Received::Data(text.as_bytes().to_vec())),
                Some(Ok(Message::Binary(bytes))) => Ok(Received::Data(bytes.to_vec())),
                // The library answers pings.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => Ok(Received::End),
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => Ok(Received::End),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => Ok(Received::End),
                Some(Err(Error::Io(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Ok(Received::End)
                }
                Some(Err(error)) => Err(self.problem(&error, doing)),
            };
        }
    }

    async fn send(&mut self, bytes: Vec<u8>, doing: &str) -> Result<(), Problem> {
        // A text message must be valid UTF-8 (RFC 6455, section 5.6).
        let message = match String::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(error) => Message::binary(error.into_bytes()),
        };
        let sent = self.socket.send(message).await;
        sent.map_err(|error| self.problem(&error, doing))
    }

    async fn start_tls(&mut self, _: &mut RunRecorder<'_>) -> Result<(), Problem> {
        // The configuration has no such steps.
        Err(Problem::new(Reason::Internal, "a WebSocket can't start TLS"))
    }
}
