//! Why there is no complete response.

use std::io;

/// Why there is no complete response.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server closed the connection before the end of the response.
    #[error("it closed the connection before the end")]
    Closed,
    /// The head of the response is too large.
    #[error("the head of the response is too large")]
    TooLarge,
    /// The response violates the protocol.
    #[error("{0}")]
    Invalid(&'static str),
}
