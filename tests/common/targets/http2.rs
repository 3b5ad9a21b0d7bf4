//! A server whose HTTP/2 is written frame by frame.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Target, tls};

/// A frame (RFC 9113, section 4.1) of at most 255 bytes.
pub fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541, appendix A).
pub const STATUS_200: u8 = 0x88;

/// Answers the first request by HTTP/2 with these frames.
pub async fn serve(identity: &tls::Identity, frames: Vec<Vec<u8>>) -> Target {
    let acceptor = tls::acceptor(identity, &["h2"], None);
    Target::serve(move |stream, _, _| {
        let (acceptor, frames) = (acceptor.clone(), frames.concat());
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            stream.read_exact(&mut [0; 24]).await.ok()?;
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.ok()?;
                let length = usize::from(head[1]) << 8 | usize::from(head[2]);
                stream.read_exact(&mut vec![0; length]).await.ok()?;
                if head[3] == HEADERS {
                    break;
                }
            }
            stream.write_all(&frames).await.ok()?;
            while stream.read(&mut [0; 4096]).await.ok()? > 0 {}
            None
        }
    })
    .await
}
