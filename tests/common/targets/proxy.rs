//! A small HTTP proxy: it forwards one request in absolute form, or opens a tunnel.

use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::{Target, read_request};

/// A proxy that requires this `Proxy-Authorization`, if given.
pub async fn serve(wanted: Option<&'static str>) -> Target {
    Target::serve(move |mut stream, _, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        let text = String::from_utf8_lossy(&request).into_owned();
        if wanted.is_some_and(|wanted| !text.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())) {
            let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(refusal).await;
            return Some(stream);
        }
        let mut words = text.split(' ');
        let (method, url) = (words.next()?, words.next()?);
        let authority = url.trim_start_matches("http://").split('/').next()?;
        let Ok(mut upstream) = TcpStream::connect(authority).await else {
            let _ = stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                .await;
            return Some(stream);
        };
        match method {
            "CONNECT" => stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .ok()?,
            _ => upstream.write_all(&request).await.ok()?,
        }
        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        None
    })
    .await
}

/// A proxy whose tunnels all lead to one server, whatever their clients request.
pub async fn intercepting(server: SocketAddr) -> Target {
    Target::serve(move |mut stream, _, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        let mut upstream = TcpStream::connect(server).await.ok()?;
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        stream.write_all(established).await.ok()?;
        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        None
    })
    .await
}
