//! The TLS handshake of a connection, with a timeout. Clients that send plain HTTP get an error response.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::socket::Socket;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a refused client to close, and how many bytes to read until then. Closing while it sends would reset
/// the connection, and the response could be lost.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: u64 = 64 * 1024;

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 71\r\nConnection: close\r\n\r\n\
    400 Bad Request: this port requires HTTPS; use an https:// URL instead\n";

/// Performs the handshake. Returns `None` if it fails.
pub(super) async fn accept(mut socket: Socket, config: Arc<ServerConfig>) -> Option<TlsStream<Socket>> {
    let handshake = async {
        // A TLS connection begins with a record of type 22 (RFC 8446, section 5.1), plain HTTP with a method in capitals.
        if socket.peek().await?.is_ascii_uppercase() {
            tracing::debug!("a client sent plain HTTP to an HTTPS port");
            refuse(socket).await?;
            return Ok(None);
        }
        TlsAcceptor::from(config).accept(socket).await.map(Some)
    };
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake timed out");
            None
        }
    }
}

/// Sends the error response, and waits for the client to close.
async fn refuse(mut socket: Socket) -> std::io::Result<()> {
    socket.write_all(PLAIN_HTTP).await?;
    socket.shutdown().await?;
    let mut rest = socket.take(MAX_LINGER_BYTES);
    let mut sink = tokio::io::sink();
    drop(timeout(LINGER, tokio::io::copy(&mut rest, &mut sink)).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_length_of_the_error_is_correct() {
        let text = std::str::from_utf8(PLAIN_HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
