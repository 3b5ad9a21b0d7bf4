//! Asks an HTTP proxy for a tunnel: CONNECT, RFC 9110, section 9.3.6.

use std::fmt::Write;

use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{authorization, is_gone};
use super::io_error;
use crate::config::address::HostPort;
use crate::config::http::ProxyServer;
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};

/// The longest answer of a proxy, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Turns a connection to a proxy into one to the target.
///
/// # Errors
/// When the proxy refuses (`auth` where it wants other credentials, else `status`), or does not answer in HTTP.
pub async fn tunnel(
    mut stream: TcpStream,
    proxy: &ProxyServer,
    target: &HostPort,
    headers: &[(HeaderName, Secret)],
) -> Result<TcpStream, Problem> {
    let authority = target.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(credentials) = &proxy.credentials {
        let value = authorization(credentials)?;
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = write!(request, "Proxy-Authorization: {value}\r\n");
    }
    for (name, value) in headers {
        let _ = write!(request, "{name}: {}\r\n", value.expose());
    }
    request.push_str("\r\n");
    let failed = |reason, what: &dyn std::fmt::Display| {
        Problem::new(
            reason,
            format_args!("asking the proxy {} for {target}: {what}", proxy.address),
        )
    };
    let broken = |error: std::io::Error| {
        let address = &proxy.address;
        io_error::problem(
            &error,
            format_args!("asking the proxy {address} for {target}: {error}"),
        )
    };
    // A proxy that refuses everybody may answer and close before it has read the request.
    let lost = match stream.write_all(request.as_bytes()).await {
        Err(error) if is_gone(&error) => Some(error),
        sent => sent.map(|()| None).map_err(broken)?,
    };
    let mut answer = Vec::with_capacity(512);
    let more = loop {
        // What says why it refuses may follow the head: a body.
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break answer.len() > end + 4;
        }
        if answer.len() >= MAX_ANSWER_BYTES {
            return Err(failed(Reason::Limit, &"its answer is too long"));
        }
        if stream.read_buf(&mut answer).await.map_err(broken)? == 0 {
            if let Some(error) = lost {
                return Err(broken(error));
            }
            return Err(failed(
                Reason::Closed,
                &"it closed the connection without an answer",
            ));
        }
    };
    match status(&answer) {
        // In TLS the client speaks first, so nothing may follow yet.
        Some(200..=299) if more => Err(failed(Reason::Protocol, &"it sent more than an answer")),
        Some(200..=299) => Ok(stream),
        Some(407) => Err(failed(
            Reason::Auth,
            &"it refused the credentials, or wants some: 407",
        )),
        Some(code) => Err(failed(Reason::Status, &format_args!("it answered {code}"))),
        None => Err(failed(Reason::Protocol, &"it does not answer in HTTP")),
    }
}

/// The status code of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.")?.get(2..)?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_found() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407 \r\n\r\n"), Some(407));
        for other in [&b"HTTP/2 200"[..], b"200 OK", b"HTTP/1.1 2", b""] {
            assert_eq!(status(other), None);
        }
    }
}
