//! Servers on the loopback interface that misbehave in many ways.

// Test helpers may panic; clippy.toml allows that only in #[test] functions. No test binary uses all of them.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

pub mod dns;
pub mod http2;
pub mod name_servers;
pub mod proxy;
pub mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A server. Dropping it stops the server.
pub struct Target {
    pub address: SocketAddr,
    state: Arc<TargetState>,
    tasks: Vec<JoinHandle<()>>,
    /// Connections that keep the backlog full.
    _fillers: Vec<TcpStream>,
}

#[derive(Default)]
pub struct TargetState {
    accepted: AtomicUsize,
    open: AtomicUsize,
    received: Mutex<Vec<String>>,
}

impl TargetState {
    /// Stores a request for [`Target::received`].
    pub fn record(&self, request: &[u8]) {
        self.received
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(request).into_owned());
    }
}

impl Target {
    /// Handles each connection (numbered from 0) with `handler`, then waits until the client closes it.
    pub async fn serve<H, F>(handler: H) -> Self
    where
        H: Fn(TcpStream, usize, Arc<TargetState>) -> F + Send + Sync + 'static,
        F: Future<Output = Option<TcpStream>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(TargetState::default());
        let shared = state.clone();
        let handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (state, handler) = (shared.clone(), handler.clone());
                tokio::spawn(async move {
                    if let Some(mut stream) = handler(stream, number, state.clone()).await {
                        let mut rest = [0; 4096];
                        while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
                    }
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            state,
            tasks: vec![task],
            _fillers: Vec::new(),
        }
    }

    /// Reads a request, sends this response, and closes its side.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::answering_each(vec![answer.into()]).await
    }

    /// Sends one response per connection, in order. The last one is repeated.
    pub async fn answering_each(answers: Vec<Vec<u8>>) -> Self {
        Self::serve(move |mut stream, number, state| {
            let answer = answers[number.min(answers.len() - 1)].clone();
            async move {
                state.record(&read_request(&mut stream).await);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
                Some(stream)
            }
        })
        .await
    }

    /// Sends a response after a delay.
    pub async fn slow(pause: Duration) -> Self {
        Self::serve(move |mut stream, _, _| async move {
            read_request(&mut stream).await;
            tokio::time::sleep(pause).await;
            let _ = stream.write_all(&ok("slow")).await;
            Some(stream)
        })
        .await
    }

    /// Sends pieces with a delay before each.
    pub async fn dripping(pieces: Vec<Vec<u8>>, pause: Duration) -> Self {
        Self::serve(move |mut stream, _, _| {
            let pieces = pieces.clone();
            async move {
                read_request(&mut stream).await;
                for piece in pieces {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(&piece).await.is_err() {
                        break;
                    }
                }
                let _ = stream.shutdown().await;
                Some(stream)
            }
        })
        .await
    }

    /// Sends a head, and then the same bytes as long as the client reads.
    pub async fn endless(head: &'static str) -> Self {
        Self::serve(move |mut stream, _, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
            Some(stream)
        })
        .await
    }

    /// Accepts connections and never responds.
    pub async fn silent() -> Self {
        Self::serve(|stream, _, _| async move { Some(stream) }).await
    }

    /// Reads something and closes the connection, with a reset if requested.
    pub async fn closing(reset: bool) -> Self {
        Self::serve(move |mut stream, _, _| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            if reset {
                stream.set_zero_linger().unwrap();
            }
            None
        })
        .await
    }

    /// An address where nothing listens.
    pub async fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
    }

    /// Listens with a full backlog and accepts nothing: connections are neither established nor refused.
    pub async fn full() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        while let Ok(Ok(filler)) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            fillers.push(filler);
            assert!(fillers.len() < 100, "the backlog does not fill");
        }
        let keep = tokio::spawn(async move {
            let _listener = listener;
            std::future::pending().await
        });
        Self {
            address,
            state: Arc::default(),
            tasks: vec![keep],
            _fillers: fillers,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The number of accepted connections.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// The received requests.
    pub fn received(&self) -> Vec<String> {
        self.state.received.lock().unwrap().clone()
    }

    /// Waits until the client has closed all its connections.
    pub async fn freed(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.state.open.load(Ordering::SeqCst) > 0 {
            assert!(
                Instant::now() < deadline,
                "a socket of a run that ended is still open"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A complete response with status 200.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads the head of a request, and its body if it has a Content-Length.
pub async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Vec<u8> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split('\r').next()?.parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                return request;
            }
        }
        match stream.read_buf(&mut request).await {
            Ok(count) if count > 0 => {}
            _ => return request,
        }
    }
}
