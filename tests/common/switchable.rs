//! An HTTP target that a test can stop, restart and slow down.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The target. While it runs, it responds with `200 ok` after a delay.
pub struct Switchable {
    /// The address on which it listens while it runs.
    pub address: SocketAddr,
    delay: Arc<AtomicU64>,
    server: Option<JoinHandle<()>>,
}

impl Switchable {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut target = Self {
            address: listener.local_addr().unwrap(),
            delay: Arc::default(),
            server: None,
        };
        target.serve(listener);
        target
    }

    fn serve(&mut self, listener: TcpListener) {
        let delay = Arc::clone(&self.delay);
        self.server = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let delay = Duration::from_millis(delay.load(Ordering::Relaxed));
                tokio::spawn(answer(stream, delay));
            }
        }));
    }

    /// Sets the delay of responses.
    pub fn slow_by(&self, delay: Duration) {
        self.delay
            .store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Stops it. Connections are refused after this returns.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("the target runs");
        server.abort();
        // The result of an aborted task is an error. The listener is closed now.
        let _ = server.await;
    }

    /// Restarts it on the same port.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

impl Drop for Switchable {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

async fn answer(mut stream: TcpStream, delay: Duration) {
    let mut request = [0; 4096];
    let Ok(1..) = stream.read(&mut request).await else {
        return;
    };
    tokio::time::sleep(delay).await;
    // The client may have disconnected.
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .await;
}
