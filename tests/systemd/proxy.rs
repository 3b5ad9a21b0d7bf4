//! A proxy for D-Bus connections that counts traffic and can drop signals.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// Forwards connections to a bus.
pub struct Proxy {
    directory: tempfile::TempDir,
    pub traffic: Arc<Traffic>,
}

/// The forwarded traffic.
#[derive(Default)]
pub struct Traffic {
    /// All accepted connections.
    pub connections: AtomicUsize,
    /// Open connections.
    pub open: AtomicUsize,
    /// Bytes to the bus, and from it.
    pub sent: AtomicU64,
    pub received: AtomicU64,
    /// Whether to drop signals.
    pub drops_signals: AtomicBool,
    /// The first bytes to the bus.
    requests: Mutex<Vec<u8>>,
}

/// How many bytes to the bus are recorded.
const MAX_REQUEST_BYTES: usize = 4 << 20;

impl Proxy {
    /// Listens until the runtime ends.
    pub fn start(bus: PathBuf) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let listener = UnixListener::bind(directory.path().join("bus")).expect("a socket");
        let traffic = Arc::new(Traffic::default());
        let counter = traffic.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                tokio::spawn(forward(client, bus.clone(), counter.clone()));
            }
        });
        Self { directory, traffic }
    }

    /// How often this method was called.
    pub fn calls(&self, method: &str) -> usize {
        let requests = self.traffic.requests.lock().expect("no holder panics");
        assert!(
            requests.len() < MAX_REQUEST_BYTES,
            "more was sent than is recorded"
        );
        // The header field: its signature, its length, the name, a zero (the D-Bus specification, "Message Format").
        let field = [
            &b"\x01s\x00"[..],
            &u32::try_from(method.len()).expect("a short name").to_le_bytes()[..],
            method.as_bytes(),
            &b"\0"[..],
        ]
        .concat();
        requests
            .windows(field.len())
            .filter(|bytes| *bytes == field)
            .count()
    }

    pub fn address(&self) -> String {
        address(&self.directory.path().join("bus"))
    }
}

pub fn address(socket: &Path) -> String {
    format!("unix:path={}", socket.display())
}

async fn forward(client: UnixStream, bus: PathBuf, traffic: Arc<Traffic>) {
    traffic.connections.fetch_add(1, Ordering::SeqCst);
    traffic.open.fetch_add(1, Ordering::SeqCst);
    if let Ok(bus) = UnixStream::connect(bus).await {
        let (from_client, to_client) = client.into_split();
        let (from_bus, to_bus) = bus.into_split();
        tokio::select! {
            _ = upstream(from_client, to_bus, &traffic) => {}
            _ = downstream(from_bus, to_client, &traffic) => {}
        }
    }
    traffic.open.fetch_sub(1, Ordering::SeqCst);
}

async fn upstream(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, traffic: &Traffic) -> std::io::Result<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        traffic.sent.fetch_add(length as u64, Ordering::SeqCst);
        {
            let mut requests = traffic.requests.lock().expect("no holder panics");
            let room = MAX_REQUEST_BYTES.saturating_sub(requests.len());
            requests.extend_from_slice(&buffer[..length.min(room)]);
        }
        to.write_all(&buffer[..length]).await?;
    }
}

/// Forwards message by message (the D-Bus specification, "Message Format"). Authentication before the first message is
/// forwarded in lines.
async fn downstream(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    traffic: &Traffic,
) -> std::io::Result<()> {
    loop {
        let mut message = vec![from.read_u8().await?];
        let is_signal = if message[0] == b'l' {
            message.resize(16, 0);
            from.read_exact(&mut message[1..]).await?;
            let word = |at: usize| {
                message[at..at + 4]
                    .iter()
                    .rev()
                    .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
            };
            let length = 16 + word(12).next_multiple_of(8) + word(4);
            message.resize(length, 0);
            from.read_exact(&mut message[16..]).await?;
            message[1] == 4
        } else {
            while message.last() != Some(&b'\n') {
                message.push(from.read_u8().await?);
            }
            false
        };
        traffic.received.fetch_add(message.len() as u64, Ordering::SeqCst);
        if !(is_signal && traffic.drops_signals.load(Ordering::SeqCst)) {
            to.write_all(&message).await?;
        }
    }
}
