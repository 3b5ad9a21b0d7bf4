//! Out of file descriptors: a process of its own, for the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use upkeep_exporter::metrics::Renderer;
use upkeep_exporter::store::Snapshot;
use upkeep_exporter::web::{BodyCache, EventHub, Reloader, State, serve};

const HEALTHY: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn is_healthy(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(HEALTHY).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(Duration::from_secs(5), ask).await;
    matches!(answer, Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_outlives_a_lack_of_descriptors() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = State {
        snapshot: Arc::new(|| unreachable!("no results are asked for")),
        renderer: Renderer::new(|| -> Snapshot { unreachable!("the test requests no metrics") }),
        prober: Arc::new(upkeep_exporter::probe::Prober::new(
            upkeep_exporter::check::CheckContext::new("/proc".into()),
            Duration::ZERO,
        )),
        heartbeats: upkeep_exporter::web::HeartbeatEndpoint::default(),
        process_groups: Arc::new(upkeep_exporter::process_groups::ProcessGroups::new(
            "/proc".into(),
        )),
        history: upkeep_exporter::history::Reader::empty(),
        config: Box::new(|| "services: []\n".into()),
        is_ready: Box::new(|| true),
        reloader: Reloader::new(|| Box::pin(async { Ok(()) })),
        is_lifecycle_enabled: false,
        has_badges: false,
        admin: None,
        allowed_hosts: upkeep_exporter::web::AllowedHosts::default(),
        event_hub: EventHub::without_store(),
        telemetry_path: "/metrics".into(),
        bodies: BodyCache::default(),
    };
    tokio::spawn(serve(listener, Arc::new(state), std::future::pending()));

    // Sockets made beforehand need no descriptor to connect; the server needs one to accept.
    let sockets: Vec<_> = (0..20).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let limit = getrlimit(Resource::Nofile);
    // The kernel hands out the lowest free number; with that for a limit, there is none.
    let lowest_free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let lowered = Rlimit {
        current: Some(lowest_free.unsigned_abs().into()),
        ..limit
    };
    setrlimit(Resource::Nofile, lowered).unwrap();
    let mut clients = Vec::new();
    for socket in sockets {
        clients.push(socket.connect(address).await.unwrap());
    }
    // An answer would need a descriptor at the server.
    let mut last = clients.pop().unwrap();
    last.write_all(HEALTHY).await.unwrap();
    let answer = timeout(Duration::from_millis(500), last.read_u8()).await;
    assert!(answer.is_err(), "accepted without a descriptor");

    drop((clients, last));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_healthy(address).await {
        assert!(Instant::now() < deadline, "the server does not accept any more");
        sleep(Duration::from_millis(50)).await;
    }
}
