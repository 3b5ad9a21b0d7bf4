//! The shutdown of the server.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Reply, Server, read_to_end, state, within};
use crate::snapshots::{every_status, many};

#[tokio::test]
async fn idle_connections_do_not_delay_the_shutdown() {
    let mut server = Server::start(state(every_status)).await;
    let silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
        .await
        .unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let begun = Instant::now();
    drop(server.stop.take());
    within(&mut server.task).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    assert!(TcpStream::connect(server.address).await.is_err());
    drop((silent, slow));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_in_progress_is_completed() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Mutex::new(receiver);
    let (begun, begins) = tokio::sync::mpsc::unbounded_channel();
    let mut begins = begins;
    let mut server = Server::start(state(move || {
        begun.send(()).unwrap();
        let _ = receiver.lock().unwrap().recv();
        every_status()
    }))
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    within(begins.recv()).await.unwrap();
    drop(server.stop.take());
    // The server accepts no more connections, so it is shutting down.
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    drop(sender);
    let bytes = read_to_end(&mut stream).await;
    assert_eq!(Reply::parse(&bytes, false).0.status, 200);
    within(&mut server.task).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_delay_the_shutdown() {
    let mut server = Server::start(state(|| many(2000))).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    within(stream.read_exact(&mut first)).await.unwrap();
    let begun = Instant::now();
    drop(server.stop.take());
    within(&mut server.task).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
