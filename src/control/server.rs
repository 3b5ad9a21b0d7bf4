//! Serves the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::line::read_line;
use super::peer::Peer;
use super::protocol::{Line, Request};
use crate::socket_file::{SocketError, SocketFile};
use crate::{heal, maintenance};

/// The mode of the socket's file: only the exporter's user, and root.
const MODE: u32 = 0o600;

/// The maximum number of connections. More wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 16;

/// The longest request in bytes. A request names at most 1000 services.
const MAX_REQUEST: u64 = 64 * 1024;

/// How long a client may take to send its request, and to receive the response.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after a failed accept, such as without a free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Carries out a request of one command for a user. It runs on a thread that may block.
pub type Handler<R> = Box<dyn Fn(R, &Peer) -> Result<Value, String> + Send + Sync>;

/// What carries out the requests.
pub struct Handlers {
    /// The command `maintenance`.
    pub maintenance: Handler<maintenance::Request>,
    /// The command `heal`.
    pub heal: Handler<heal::Request>,
}

impl Handlers {
    fn handle(&self, request: Request, peer: &Peer) -> Result<Value, String> {
        match request {
            Request::Maintenance(request) => (self.maintenance)(request, peer),
            Request::Heal(request) => (self.heal)(request, peer),
        }
    }
}

/// Encodes the result of a handler.
///
/// # Errors
/// If the result can't be encoded as JSON.
pub fn encode(result: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(result).map_err(|error| format!("encoding the response: {error}"))
}

/// The listening control socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    _file: SocketFile,
}

impl Listener {
    /// Creates the socket at `path`, in the current runtime.
    ///
    /// # Errors
    /// If another process listens there, or a system call fails.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let (listener, file) = SocketFile::bind(path, MODE)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path: path.to_owned(),
            _file: file,
        })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Serves requests. Never returns.
pub async fn serve(listener: Listener, handlers: Arc<Handlers>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.listener.accept().await {
            Ok((stream, _)) => {
                let handlers = Arc::clone(&handlers);
                tokio::spawn(async move {
                    if let Err(error) = serve_connection(stream, handlers).await {
                        debug!(%error, "control connection failed");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                warn!(%error, "accepting a control connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(mut stream: UnixStream, handlers: Arc<Handlers>) -> io::Result<()> {
    let line = match timeout(
        CLIENT_TIMEOUT,
        read_line(&mut BufReader::new(&mut stream), MAX_REQUEST),
    )
    .await
    {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return respond(&mut stream, Err(format!("reading the request: {error}"))).await,
        Err(_) => return respond(&mut stream, Err("no request within 5 s".to_owned())).await,
    };
    // Finding the user's name reads a file, and handlers write files.
    let handled = tokio::task::spawn_blocking(move || {
        let result = match (serde_json::from_slice::<Request>(&line), Peer::of(&stream)) {
            (Ok(request), Ok(peer)) => handlers.handle(request, &peer),
            (Err(error), _) => Err(format!(
                "unknown request: {error}; use the same version of upkeep_exporter as the running exporter"
            )),
            (_, Err(error)) => Err(format!("finding the user of the connection: {error}")),
        };
        (stream, result)
    });
    let (mut stream, result) = handled.await.map_err(io::Error::other)?;
    respond(&mut stream, result).await
}

/// Sends the last line of the response.
async fn respond(stream: &mut UnixStream, result: Result<Value, String>) -> io::Result<()> {
    let line = match result {
        Ok(value) => Line {
            done: true,
            ok: Some(value),
            error: None,
        },
        Err(error) => Line {
            done: true,
            ok: None,
            error: Some(error),
        },
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    timeout(CLIENT_TIMEOUT, stream.write_all(&text)).await?
}
