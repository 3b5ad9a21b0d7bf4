//! A server under test, and a client that sends exactly the given bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use upkeep_exporter::metrics::Renderer;
use upkeep_exporter::store::Snapshot;
use upkeep_exporter::web::{BodyCache, EventHub, Reloader, State, serve};

/// Anything that takes longer hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server on a free port.
pub struct Server {
    pub address: SocketAddr,
    pub stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

/// A state that renders `source`, is ready, and cannot be reloaded.
pub fn state(source: impl Fn() -> Snapshot + Send + Sync + 'static) -> State {
    let source = Arc::new(source);
    State {
        snapshot: Arc::new({
            let source = Arc::clone(&source);
            move || source()
        }),
        renderer: Renderer::new(move || source()),
        prober: Arc::new(upkeep_exporter::probe::Prober::new(
            upkeep_exporter::check::CheckContext::new("/proc".into()),
            Duration::ZERO,
        )),
        process_groups: Arc::new(upkeep_exporter::process_groups::ProcessGroups::new(
            "/proc".into(),
        )),
        heartbeats: upkeep_exporter::web::HeartbeatEndpoint::default(),
        history: upkeep_exporter::history::Reader::empty(),
        config: Box::new(|| "services: []\n".into()),
        is_ready: Box::new(|| true),
        reloader: Reloader::new(|| Box::pin(async { Ok(()) })),
        is_lifecycle_enabled: false,
        has_badges: true,
        admin: None,
        allowed_hosts: upkeep_exporter::web::AllowedHosts::default(),
        event_hub: EventHub::without_store(),
        telemetry_path: "/metrics".into(),
        bodies: BodyCache::default(),
    }
}

impl Server {
    pub async fn start(state: State) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, Arc::new(state), async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop: Some(stop),
            task,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Sends bytes on a new connection, and returns all that comes until the server closes.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// Sends one request with additional header lines on a new connection.
    pub async fn request(&self, method: &str, path: &str, headers: &[&str]) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        let bytes = self.raw(request + "\r\n").await;
        let (reply, rest) = Reply::parse(&bytes, method == "HEAD");
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        reply
    }

    pub async fn get(&self, path: &str, headers: &[&str]) -> Reply {
        self.request("GET", path, headers).await
    }
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// Parses the first response in `bytes`.
    pub fn parse(bytes: &[u8], is_head: bool) -> (Self, &[u8]) {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no response: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let length = if is_head {
            0
        } else {
            reply.header("content-length").unwrap().parse::<usize>().unwrap()
        };
        let (body, rest) = bytes[end + 4..].split_at(length);
        reply.body = body.to_vec();
        (reply, rest)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} comes twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Reads until the other side closes or resets.
pub async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = within(stream.read_to_end(&mut bytes)).await;
    bytes
}

/// Waits with a deadline.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it hangs")
}
