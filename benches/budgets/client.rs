//! An HTTP client that does nothing beside its one GET, so that what is timed is the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What Prometheus asks for when it wants OpenMetrics.
pub const OPEN_METRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

/// What Prometheus asks for when it wants Protocol Buffers.
pub const PROTOBUF: &str =
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";

/// The answer to a GET.
#[derive(Debug)]
pub struct Answer {
    /// From before connecting until the body's end.
    pub took: Duration,
    /// The body, as it was sent.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(self) -> anyhow::Result<String> {
        String::from_utf8(self.body).context("the answer is not UTF-8")
    }
}

/// Gets `path` on a connection of its own. `headers` are whole lines. Any status but 200 is an error.
pub fn get(address: SocketAddr, path: &str, headers: &str) -> anyhow::Result<Answer> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).context("connecting")?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // HTTP/1.0: the body is never chunked, and the server closes after it.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("reading the answer")?;
    let took = begun.elapsed();
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .context("the answer has no end of its head")?;
    let status = answer.get(9..12).unwrap_or_default();
    if status != b"200" {
        bail!("GET {path}: status {}", String::from_utf8_lossy(status));
    }
    answer.drain(..end + 4);
    Ok(Answer { took, body: answer })
}
