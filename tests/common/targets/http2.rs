//! An HTTP/2 server that sends scripted frames.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Target, tls};

/// A frame (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541, appendix A).
pub const STATUS_200: u8 = 0x88;

/// A literal header field without indexing (RFC 7541, section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [length(text.len()), text.as_bytes().to_vec()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// A length with a prefix of seven bits (RFC 7541, section 5.1).
fn length(mut length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![length as u8];
    }
    let mut bytes = vec![127];
    length -= 127;
    while length >= 128 {
        bytes.push((length % 128 + 128) as u8);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes
}

/// What the server sends on one connection.
#[derive(Clone, Default)]
pub struct Script {
    /// Frames to send before a request.
    pub greeting: Vec<u8>,
    /// Frames to send after a request.
    pub answer: Vec<u8>,
    /// Whether it then closes its side.
    pub is_closing: bool,
}

/// Responds to the first HTTP/2 request with these frames.
pub async fn serve(identity: &tls::Identity, frames: Vec<Vec<u8>>) -> Target {
    let script = Script {
        answer: frames.concat(),
        ..Script::default()
    };
    serve_each(Some(identity), vec![script]).await
}

/// Follows one script per connection; the last one is repeated. Uses TLS if there is an identity.
pub async fn serve_each(identity: Option<&tls::Identity>, scripts: Vec<Script>) -> Target {
    let acceptor = identity.map(|identity| tls::acceptor(identity, &["h2"], None));
    Target::serve(move |stream, number, _| {
        let script = scripts[number.min(scripts.len() - 1)].clone();
        let acceptor = acceptor.clone();
        async move {
            match acceptor {
                None => follow(stream, script).await,
                Some(acceptor) => follow(acceptor.accept(stream).await.ok()?, script).await,
            };
            None
        }
    })
    .await
}

async fn follow(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Script) -> Option<()> {
    stream.read_exact(&mut [0; 24]).await.ok()?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
    stream.write_all(&script.greeting).await.ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length]).await.ok()?;
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(&script.answer).await.ok()?;
    if script.is_closing {
        stream.shutdown().await.ok()?;
    }
    while stream.read(&mut [0; 4096]).await.ok()? > 0 {}
    None
}
