//! Sends a request to the running exporter.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::protocol::{Line, Request};

/// How long to wait for each line of the response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest line of a response in bytes. A list of the most windows needs a tenth of it.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// The request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("can't connect to the control socket {}: {cause}; {}", path.display(), advice(cause))]
    Connect {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// The connection failed.
    #[error("no response from the exporter at {}: {cause}", path.display())]
    Connection {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// The exporter rejected the request.
    #[error("{0}")]
    Rejected(String),
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => "run the command as root, or as the user of the exporter",
        _ => "is the exporter running? Set --control.socket to its control socket",
    }
}

/// Sends a request and waits for the result.
///
/// # Errors
/// If there is no exporter, or it rejects the request.
pub fn request(path: &Path, request: &Request) -> Result<Value, ClientError> {
    let stream = UnixStream::connect(path).map_err(|cause| ClientError::Connect {
        path: path.to_owned(),
        cause,
    })?;
    let line = exchange(&stream, request).map_err(|cause| ClientError::Connection {
        path: path.to_owned(),
        cause,
    })?;
    match line {
        Line {
            error: Some(error), ..
        } => Err(ClientError::Rejected(error)),
        Line { ok, .. } => Ok(ok.unwrap_or_default()),
    }
}

/// Sends the request and returns the last line of the response.
fn exchange(mut stream: &UnixStream, request: &Request) -> io::Result<Line> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut text = Vec::new();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line: Line = serde_json::from_slice(&text)?;
        if line.done {
            return Ok(line);
        }
    }
}
