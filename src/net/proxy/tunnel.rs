//! Opens a tunnel through an HTTP proxy with CONNECT (RFC 9110, section 9.3.6).

use std::fmt::Write;

use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::ProxyStream;
use crate::config::address::HostPort;
use crate::config::http::ProxyServer;
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::http::{authorization, is_gone};
use crate::net::io_error;

/// The longest response of a proxy, in bytes.
const MAX_RESPONSE_BYTES: usize = 16 << 10;

/// Turns a connection to a proxy into one to the target.
///
/// # Errors
/// If the proxy refuses, or does not respond with HTTP. The reason of a refusal is `auth` for credentials, otherwise
/// `status`.
pub async fn tunnel(
    mut stream: ProxyStream,
    proxy: &ProxyServer,
    target: &HostPort,
    headers: &[(HeaderName, Secret)],
) -> Result<ProxyStream, Problem> {
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
            format_args!(
                "connecting to {target} through the proxy {}: {what}",
                proxy.address
            ),
        )
    };
    let broken = |error: std::io::Error| {
        let address = &proxy.address;
        io_error::problem(
            &error,
            format_args!("connecting to {target} through the proxy {address}: {error}"),
        )
    };
    // A proxy may respond and close the connection before it has read the request.
    let sent = match stream.write_all(request.as_bytes()).await {
        // With TLS to the proxy, written bytes may wait in this process.
        Ok(()) => stream.flush().await,
        failed => failed,
    };
    let write_error = match sent {
        Err(error) if is_gone(&error) => Some(error),
        sent => sent.map(|()| None).map_err(broken)?,
    };
    let mut response = Vec::with_capacity(512);
    let has_more = loop {
        // A refusal may have a body after the head.
        if let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") {
            break response.len() > end + 4;
        }
        if response.len() >= MAX_RESPONSE_BYTES {
            return Err(failed(Reason::Limit, &"its response is too long"));
        }
        if stream.read_buf(&mut response).await.map_err(broken)? == 0 {
            if let Some(error) = write_error {
                return Err(broken(error));
            }
            return Err(failed(
                Reason::Closed,
                &"it closed the connection without a response",
            ));
        }
    };
    match status(&response) {
        // In TLS the client sends first, so nothing may follow the head.
        Some(200..=299) if has_more => Err(failed(Reason::Protocol, &"it sent data after its response")),
        Some(200..=299) => Ok(stream),
        Some(407) => Err(failed(
            Reason::Auth,
            &"it requires credentials, or refused them: 407",
        )),
        Some(code) => Err(failed(Reason::Status, &format_args!("it responded with {code}"))),
        None => Err(failed(Reason::Protocol, &"its response is not HTTP")),
    }
}

/// The status code of a response.
fn status(response: &[u8]) -> Option<u16> {
    let rest = response.strip_prefix(b"HTTP/1.")?.get(2..)?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_parsed() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407 \r\n\r\n"), Some(407));
        for other in [&b"HTTP/2 200"[..], b"200 OK", b"HTTP/1.1 2", b""] {
            assert_eq!(status(other), None);
        }
    }
}
