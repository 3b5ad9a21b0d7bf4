//! An HTTP target that a test can stop, start again and slow down.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The target. It answers `200 ok` after a delay for as long as it is not stopped.
pub struct Switchable {
    /// Where it listens while it is not stopped.
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

    /// Makes it answer this late from now on.
    pub fn slow_by(&self, delay: Duration) {
        self.delay
            .store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Stops it: connections are refused when this returns.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("the target runs");
        server.abort();
        // An aborted task ends with an error by design; the listener is closed then.
        let _ = server.await;
    }

    /// Starts it again on the same port.
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
    // The other side may have given up by now.
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .await;
}
