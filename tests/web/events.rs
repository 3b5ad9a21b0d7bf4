//! `/api/events` with curl as the client: events, resumed streams, and the limits of streams.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast;
use upkeep_exporter::model::{CheckName, Problem, Reason, ServiceKey, Status};
use upkeep_exporter::store::{Snapshot, StatusEvent};
use upkeep_exporter::web::{EventHub, MAX_CONNECTIONS, MAX_STREAMS, State};

use crate::client::{Server, state, within};
use crate::snapshots::{NOW, every_status, many};

/// A state whose changes the test sends, with a buffer of this size.
fn changeable(buffer: usize) -> (State, broadcast::Sender<StatusEvent>) {
    let changes = broadcast::Sender::new(buffer);
    let source = changes.clone();
    let mut state = state(every_status);
    state.event_hub = EventHub::new(|_| None, move || source.subscribe());
    (state, changes)
}

fn change(service: &str) -> StatusEvent {
    StatusEvent {
        service: ServiceKey::new(service),
        old: Status::Up,
        new: Status::Down,
        since: NOW,
        check: Some(CheckName::new("http")),
        problem: Some(Arc::new(Problem::new(Reason::Refused, "connecting\r\n\n to it"))),
    }
}

/// Everything that curl receives within this many seconds.
async fn curl(server: &Server, seconds: &str, path: &str, header: &str) -> String {
    let url = format!("http://{}{path}", server.address);
    let (seconds, header) = (seconds.to_owned(), header.to_owned());
    let output = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args([
                "-sSN",
                "-i",
                "--noproxy",
                "*",
                "--max-time",
                &seconds,
                "-H",
                &header,
                &url,
            ])
            .stderr(Stdio::null())
            .output()
            .expect("curl is installed (apt-get install curl)")
    });
    String::from_utf8(output.await.unwrap().stdout).unwrap()
}

/// The data of the events of this name.
fn data(text: &str, event: &str) -> Vec<Value> {
    let blocks = text
        .split("\n\n")
        .filter(|block| block.contains(&format!("event: {event}\n")));
    blocks
        .map(|block| serde_json::from_str(block.split("data: ").nth(1).unwrap()).unwrap())
        .collect()
}

fn last_id(text: &str) -> &str {
    text.lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap()
}

/// Opens a stream on a new connection.
async fn stream(server: &Server) -> TcpStream {
    begun(server.connect().await, "/api/events").await
}

async fn begun(mut stream: TcpStream, path: &str) -> TcpStream {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 15];
    within(stream.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    stream
}

/// Reports whether anything arrives within one and a half seconds.
async fn is_alive(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 65_536];
    let read = tokio::time::timeout(Duration::from_millis(1500), stream.read(&mut buffer)).await;
    matches!(read, Ok(Ok(1..)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_sent_at_once_and_updates_every_second() {
    let (state, changes) = changeable(16);
    let server = Server::start(state).await;
    let sender = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        changes.send(change("api")).unwrap();
        changes
    });
    let text = curl(&server, "3.6", "/api/events", "X: y").await;
    let head = text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-type: text/event-stream"),
        "{head}"
    );
    assert!(text.contains("\nretry: 2000\nid: "), "{text}");
    let updates = data(&text, "update");
    assert!((3..=4).contains(&updates.len()), "{text}");
    assert_eq!(updates[0]["taken"], "2023-11-14T22:13:20.250Z");
    assert_eq!(
        (&updates[1]["rows"], &updates[1]["complete"]),
        (&json!({}), &json!(true))
    );
    assert_eq!(
        data(&text, "status"),
        [json!({
            "service": "api", "old": "up", "new": "down", "since": "2023-11-14T22:13:20.250Z",
            "check": "http", "reason": "refused", "message": "connecting    to it"
        })]
    );
    let changes = sender.await.unwrap();

    // A client that reconnects gets what it missed, once. A new client gets no earlier events.
    let known = last_id(&text).to_owned();
    changes.send(change("two")).unwrap();
    changes.send(change("three")).unwrap();
    let header = format!("Last-Event-ID: {known}");
    let again = curl(&server, "0.5", "/api/events?only=status", &header).await;
    let services: Vec<_> = data(&again, "status")
        .iter()
        .map(|event| event["service"].clone())
        .collect();
    assert_eq!(services, ["two", "three"]);
    assert!(data(&again, "update").is_empty() && data(&again, "lost").is_empty());
    let anew = curl(&server, "0.5", "/api/events?only=status", "X: y").await;
    assert!(data(&anew, "status").is_empty());
    assert_eq!(last_id(&anew), last_id(&again));
    let restarted = curl(&server, "0.5", "/api/events?only=status", "Last-Event-ID: 1-1").await;
    assert_eq!(data(&restarted, "status").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_lost_without_a_stream_are_reported() {
    let (state, changes) = changeable(16);
    let server = Server::start(state).await;
    let first = curl(&server, "0.5", "/api/events", "X: y").await;
    // The server detects that the client has left when it writes an update. Then only the buffer of 16 changes remains.
    within(async {
        while changes.receiver_count() > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for number in 0..20 {
        changes.send(change(&format!("s{number}"))).unwrap();
    }
    let header = format!("Last-Event-ID: {}", last_id(&first));
    let late = curl(&server, "0.5", "/api/events?only=status", &header).await;
    assert_eq!(data(&late, "lost"), [json!({ "events": 4 })]);
    assert_eq!(data(&late, "status").len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_changes_reaches_every_stream_and_ends_none() {
    let (state, changes) = changeable(256);
    let server = Server::start(state).await;
    // Many at once, then many one by one, in total more than are stored.
    let sender = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for number in 0..60 {
            changes.send(change(&format!("at-once-{number}"))).unwrap();
        }
        for number in 0..60 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            changes.send(change(&format!("one-by-one-{number}"))).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let services: Vec<_> = (0..2000)
            .map(|number| change(&format!("flood-{number}")))
            .collect();
        for change in services {
            changes.send(change).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        changes.send(change("last")).unwrap();
        changes
    });
    let streams = [
        "/api/events",
        "/api/events?only=status",
        "/api/events?only=status",
    ];
    let texts = streams.map(|path| curl(&server, "5", path, "X: y"));
    for text in futures_util::future::join_all(texts).await {
        let told = data(&text, "status");
        let count = |prefix: &str| {
            let services = told.iter().map(|event| event["service"].as_str().unwrap());
            services.filter(|service| service.starts_with(prefix)).count() as u64
        };
        assert_eq!(
            (count("at-once"), count("one-by-one"), count("last")),
            (60, 60, 1)
        );
        let lost = data(&text, "lost");
        let lost: u64 = lost.iter().map(|event| event["events"].as_u64().unwrap()).sum();
        assert_eq!(count("flood") + lost, 2000, "{} received", count("flood"));
    }
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn an_unknown_event_id_reports_no_loss() {
    let (state, _changes) = changeable(16);
    let server = Server::start(state).await;
    let first = curl(&server, "0.5", "/api/events", "X: y").await;
    let epoch = last_id(&first).split('-').next().unwrap();
    for number in [u64::MAX, 7] {
        let header = format!("Last-Event-ID: {epoch}-{number}");
        let text = curl(&server, "0.5", "/api/events?only=status", &header).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(
            !text.contains("event: ") && last_id(&text) == format!("{epoch}-0"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rendering_per_second_serves_all_streams() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let server = Server::start(state(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        every_status()
    }))
    .await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(stream(&server).await);
    }
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let made = calls.load(Ordering::SeqCst);
    assert!((2..=4).contains(&made), "{made}");
    drop(streams);
    // The server detects a closed stream when it writes to it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let made = calls.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(calls.load(Ordering::SeqCst), made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_limited_and_closed_ones_free_their_slots() {
    let server = Server::start(state(every_status)).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(stream(&server).await);
    }
    let reply = server.get("/api/events", &[]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("10")));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        reply.text(),
        r#"{"error":"too many event streams are open; try again later"}"#
    );
    assert_eq!(server.get("/metrics", &[]).await.status, 200);
    streams.pop();
    wait_for_free_slot(&server, Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_can_not_take_all_streams() {
    let server = Server::start(state(every_status)).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(stream(&server).await);
    }
    let other = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        begun(socket.connect(server.address).await.unwrap(), "/api/events").await
    };
    let mut others = [other().await, other().await];
    assert_eq!(server.get("/api/events", &[]).await.status, 503);
    // The newest streams were evicted, and ended properly.
    for mut stream in streams.split_off(MAX_STREAMS - 2) {
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n0\r\n\r\n") {
            assert!(
                within(stream.read_buf(&mut rest)).await.unwrap() > 0,
                "it was cut off"
            );
        }
    }
    for stream in streams.iter_mut().chain(&mut others) {
        assert!(is_alive(stream).await, "a stream ended");
    }
}

/// Waits until one more stream can be opened.
async fn wait_for_free_slot(server: &Server, limit: Duration) {
    let begun = Instant::now();
    loop {
        let mut next = server.connect().await;
        next.write_all(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut start = [0; 12];
        within(next.read_exact(&mut start)).await.unwrap();
        if &start == b"HTTP/1.1 200" {
            return;
        }
        assert!(begun.elapsed() < limit, "the place stays taken");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_end_no_streams_and_streams_block_no_scrapes() {
    let server = Server::start(state(every_status)).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(stream(&server).await);
    }
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        idle.push(server.connect().await);
    }
    let begun = Instant::now();
    assert_eq!(server.get("/metrics", &[]).await.status, 200);
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    for stream in &mut streams {
        assert!(is_alive(stream).await, "a stream ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_at_once_on_shutdown() {
    let mut server = Server::start(state(every_status)).await;
    let mut streams = [stream(&server).await, stream(&server).await];
    let begun = Instant::now();
    drop(server.stop.take());
    within(&mut server.task).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    for stream in &mut streams {
        let mut rest = Vec::new();
        within(stream.read_to_end(&mut rest)).await.unwrap();
        // The last chunk of HTTP/1.1: the body is complete.
        assert!(
            rest.ends_with(b"0\r\n\r\n"),
            "{:?}",
            String::from_utf8_lossy(&rest)
        );
    }
}

/// Services whose rows change in every snapshot.
fn changing_rows() -> impl Fn() -> Snapshot + Send + Sync + 'static {
    let step = AtomicU32::new(0);
    move || {
        let mut snapshot = many(500);
        snapshot.taken += f64::from(step.fetch_add(1, Ordering::SeqCst)) * 6000.0;
        snapshot
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_stream_is_closed() {
    let server = Server::start(state(changing_rows())).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let _deaf = begun(socket.connect(server.address).await.unwrap(), "/api/events").await;
    let mut quiet = Vec::new();
    for _ in 1..MAX_STREAMS {
        quiet.push(begun(server.connect().await, "/api/events?only=status").await);
    }
    assert_eq!(server.get("/api/events", &[]).await.status, 503);
    // The kernel's buffers fill up first. Then the client has 30 s to continue.
    wait_for_free_slot(&server, Duration::from_secs(90)).await;
    for stream in &mut quiet {
        let mut head = [0; 4096];
        assert!(within(stream.read(&mut head)).await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_stream_delays_nothing() {
    let mut server = Server::start(state(changing_rows())).await;
    let _deaf = stream(&server).await;
    let mut other = stream(&server).await;
    for _ in 0..3 {
        assert!(is_alive(&mut other).await);
    }
    assert_eq!(server.get("/metrics", &[]).await.status, 200);
    let begun = Instant::now();
    drop(server.stop.take());
    within(&mut server.task).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
