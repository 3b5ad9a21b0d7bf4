//! The TLS handshake of a connection, within a time; and a word to clients that do not know of TLS.

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
/// How long a client that was refused may take to hang up, and what it may send until then, in bytes. Closing while it
/// sends would reset the connection, and the answer with it.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: u64 = 64 * 1024;

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 79\r\nConnection: close\r\n\r\n\
    400 Bad Request: this port speaks HTTPS, so the URL has to begin with https://\n";

/// Does the handshake; `None` where it fails.
pub(super) async fn accept(mut socket: Socket, config: Arc<ServerConfig>) -> Option<TlsStream<Socket>> {
    let handshake = async {
        // Every TLS connection begins with a handshake record, whose type is 22 (RFC 8446, section 5.1); a request of
        // plain HTTP begins with its method.
        if socket.first_byte().await?.is_ascii_uppercase() {
            tracing::debug!("a client speaks plain HTTP to a port of HTTPS");
            refuse(socket).await?;
            return Ok(None);
        }
        TlsAcceptor::from(config).accept(socket).await.map(Some)
    };
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

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
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN_HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
