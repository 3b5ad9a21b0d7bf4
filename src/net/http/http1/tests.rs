//! Tests of the client with real connections. What it accepts is compared with hyper in `beside_hyper`.

use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn get() -> Request<Bytes> {
    Request::new(Bytes::new())
}

#[tokio::test]
async fn nothing_but_the_connection_is_kept_while_the_server_hangs() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut request = get();
    *request.body_mut() = vec![b'x'; 100_000].into();
    let mut connection = Http1::new(ours, request, true);
    let waiting = poll_fn(|cx| Poll::Ready(connection.poll_head(cx).is_pending())).await;
    assert!(waiting);
    assert_eq!(connection.received.capacity(), 0);
    assert_eq!(connection.request.len(), 0);
    let mut request = vec![0; 100_000];
    theirs.read_exact(&mut request).await.unwrap();
}

#[tokio::test]
async fn the_request_is_flushed() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let mut connection = Http1::new(tokio::io::BufStream::new(ours), get(), true);
    let server = async move {
        theirs.read_u8().await.unwrap();
        theirs
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
    };
    let exchange = async { tokio::join!(connection.send(), server).0 };
    let head = tokio::time::timeout(Duration::from_secs(10), exchange).await;
    assert_eq!(head.unwrap().unwrap().status.as_u16(), 204);
}

/// A connection over TCP, and the server's side.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.unwrap(), accepted.unwrap().0)
}

/// A request with a body that does not fit into the buffers of the system.
fn long_request() -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(vec![b'x'; 64 << 20]));
    *request.method_mut() = Method::POST;
    request
}

#[tokio::test]
async fn a_response_is_read_although_the_server_does_not_read_the_request() {
    let (ours, mut theirs) = pair().await;
    theirs
        .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
        .await
        .unwrap();
    let mut connection = Http1::new(ours, long_request(), true);
    let head = connection.send().await.unwrap();
    assert_eq!(head.status.as_u16(), 413);
    assert_eq!(connection.data().await.unwrap().unwrap(), "long");
    assert_eq!(connection.data().await.unwrap(), None);
}

#[tokio::test]
async fn a_response_is_read_although_writing_fails() {
    let response = b"HTTP/1.1 413 Too Large\r\n\r\nlong";
    for (shuts_down, is_complete) in [(true, true), (false, false)] {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(response).await.unwrap();
        if shuts_down {
            theirs.shutdown().await.unwrap();
        }
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            theirs.set_zero_linger().unwrap();
        });
        let mut connection = Http1::new(ours, long_request(), true);
        let head = connection.send().await.unwrap();
        assert_eq!(head.status.as_u16(), 413);
        assert_eq!(connection.data().await.unwrap().unwrap(), "long");
        // A reset is not the end of a body that ends with the connection.
        let end = connection.data().await;
        assert_eq!(end.is_ok(), is_complete, "{end:?}");
    }
}

/// A connection that is written to only after this response has been read, and then fails.
struct Failing(&'static [u8]);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        into.put_slice(std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, _bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {
            [] => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_has_arrived_counts_whatever_error_writing_has() {
    let stream = Failing(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong");
    let mut connection = Http1::new(stream, get(), true);
    assert_eq!(connection.send().await.unwrap().status.as_u16(), 413);
    assert_eq!(connection.data().await.unwrap().unwrap(), "long");
}

#[tokio::test]
async fn the_rest_of_the_request_is_sent_while_the_body_is_read() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut request = get();
    *request.body_mut() = vec![b'x'; 1000].into();
    let server = tokio::spawn(async move {
        theirs.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(&[b'x'; 1000]) {
            assert!(theirs.read_buf(&mut request).await.unwrap() > 0);
        }
        theirs.write_all(b"thanks").await.unwrap();
    });
    let mut connection = Http1::new(ours, request, true);
    connection.send().await.unwrap();
    assert_eq!(connection.data().await.unwrap().unwrap(), "thanks");
    server.await.unwrap();
}

#[tokio::test]
async fn the_stream_is_shut_down_after_the_response_unless_it_is_plain() {
    for (is_plain, response) in [
        (false, "HTTP/1.1 204 No Content\r\n\r\n"),
        (false, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"),
        (
            false,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        ),
        (true, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"),
    ] {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 16);
        theirs.write_all(response.as_bytes()).await.unwrap();
        let mut connection = Http1::new(ours, get(), is_plain);
        connection.send().await.unwrap();
        while connection.data().await.unwrap().is_some() {}
        let mut request = Vec::new();
        let reading = tokio::time::timeout(Duration::from_millis(100), theirs.read_to_end(&mut request));
        assert_eq!(reading.await.is_err(), is_plain, "{response}");
        drop(connection);
    }
}
