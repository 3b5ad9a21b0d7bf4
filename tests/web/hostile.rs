//! Clients that are slow, silent, greedy or broken.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use upkeep_exporter::web::MAX_CONNECTIONS;

use crate::client::{Reply, Server, read_to_end, state, within};
use crate::snapshots::{every_status, many};

/// The most that a scrape may take, whatever other clients do.
const SCRAPE_BUDGET: Duration = Duration::from_millis(250);

async fn assert_scrape_is_served(server: &Server) {
    let begun = Instant::now();
    let reply = server
        .get(
            "/metrics",
            &["Accept: application/openmetrics-text", "Accept-Encoding: gzip"],
        )
        .await;
    let took = begun.elapsed();
    assert_eq!(reply.status, 200);
    assert!(took < SCRAPE_BUDGET, "a scrape took {took:?}");
}

/// Clients and server share this process and its limit of descriptors.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(16_384, |maximum| maximum.min(16_384));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(current),
            ..limit
        },
    )
    .unwrap();
}

/// How many of these connections the server has closed.
async fn closed(streams: &mut [TcpStream]) -> usize {
    let mut closed = 0;
    for stream in streams {
        let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut [0; 64])).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    closed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_do_not_block_a_scrape() {
    raise_descriptor_limit();
    let server = Server::start(state(every_status)).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(server.connect().await);
    }
    assert_scrape_is_served(&server).await;
    // The same with keep-alive connections after a request.
    for stream in idle.iter_mut().rev().take(100) {
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        within(stream.read_exact(&mut first)).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    assert_scrape_is_served(&server).await;
    let (old, new) = idle.split_at_mut(400);
    assert_eq!(closed(old).await, 400);
    assert!(new.len() - closed(new).await <= MAX_CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_headers_time_out() {
    raise_descriptor_limit();
    let server = Server::start(state(every_status)).await;
    let mut slow = Vec::new();
    for _ in 0..600 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    while closed(&mut slow).await < slow.len() {
        for stream in &mut slow {
            let _ = stream.try_write(b"x");
        }
        assert_scrape_is_served(&server).await;
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "slow clients are still connected"
        );
    }
    assert!(
        begun.elapsed() > Duration::from_secs(5),
        "a client may take some seconds for its request"
    );
}

#[tokio::test]
async fn giant_heads_are_refused() {
    let server = Server::start(state(every_status)).await;
    let long = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(500)
    );
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    for (request, expected) in [(long, [431, 431]), (many, [431, 431]), (path, [414, 431])] {
        let mut stream = server.connect().await;
        // The server may close before it has read all of it.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut start = [0; 12];
        match within(stream.read_exact(&mut start)).await {
            Ok(_) => {
                let status = std::str::from_utf8(&start[9..]).unwrap().parse::<u16>().unwrap();
                assert!(expected.contains(&status), "{status}");
            }
            // What the client had yet to send may turn the end into a reset that overtakes the answer.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    assert_scrape_is_served(&server).await;
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let server = Server::start(state(every_status)).await;
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_to_end(&mut stream).await;
        let is_refusal = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(is_refusal, "{garbage:?}: {}", String::from_utf8_lossy(&answer));
    }
    assert_scrape_is_served(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_do_not_block_a_scrape() {
    raise_descriptor_limit();
    let server = Server::start(state(|| many(500))).await;
    let mut deaf = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 50 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        deaf.push(stream);
    }
    let begun = Instant::now();
    let reply = server.get("/metrics", &[]).await;
    assert_eq!(reply.status, 200);
    // Unoptimised, with up to 512 responses in the making; it must only not wait for them to be read.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_evicts_no_connection_of_another_one() {
    raise_descriptor_limit();
    let server = Server::start(state(every_status)).await;
    let connect_from = async |host: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
        socket.connect(server.address).await.unwrap()
    };
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let answered = async |stream: &mut TcpStream| {
        stream.write_all(request).await.unwrap();
        let mut start = [0; 12];
        within(stream.read_exact(&mut start)).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    };
    // One that has yet to ask, one that is about to, and one between two scrapes: what can be missed best otherwise.
    let (mut new, mut asking, mut idle) = (
        connect_from("127.0.0.1").await,
        connect_from("127.0.0.1").await,
        connect_from("127.0.0.1").await,
    );
    asking.write_all(&request[..30]).await.unwrap();
    answered(&mut idle).await;
    let mut greedy = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 100 {
        let mut stream = connect_from("127.0.0.66").await;
        // It may be closed already.
        let _ = stream.write_all(request).await;
        greedy.push(stream);
    }
    answered(&mut new).await;
    asking.write_all(&request[30..]).await.unwrap();
    let mut start = [0; 12];
    within(asking.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    answered(&mut connect_from("127.0.0.2").await).await;
    // What is left of its answer is in the way of the next one.
    drop(greedy);
    assert_scrape_is_served(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_clients_that_do_not_read_are_revoked() {
    let server = Server::start(state(|| many(6000))).await;
    let begun = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(server.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut start = [0; 15];
        within(stream.read_exact(&mut start)).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        stream
    };
    let length = server.get("/", &[]).await.body.len();
    let mut deaf = Vec::new();
    // One after the other, so that each has a page of its own.
    for _ in 0..(80 << 20) / length {
        deaf.push(begun().await);
    }
    let mut first = deaf.remove(0);
    let mut last = deaf.pop().unwrap();
    let (cut, whole) = (read_to_end(&mut first).await, read_to_end(&mut last).await);
    // What the kernel and hyper held of it, and not megabytes.
    assert!(
        cut.len() < 600_000 && cut.len() < length,
        "{} of {length}",
        cut.len()
    );
    assert!(whole.len() > length, "{} of {length}", whole.len());
}

#[tokio::test]
async fn a_declared_huge_body_is_refused() {
    let mut state = state(every_status);
    state.is_lifecycle_enabled = true;
    let server = Server::start(state).await;
    let reply = server
        .request("POST", "/-/reload", &["Content-Length: 1000000000000"])
        .await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
}

#[tokio::test]
async fn an_endless_body_is_not_read() {
    let mut state = state(every_status);
    state.is_lifecycle_enabled = true;
    let server = Server::start(state).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let (mut reading, mut writing) = stream.into_split();
    let answer = tokio::spawn(async move {
        let mut start = [0; 12];
        within(reading.read_exact(&mut start)).await.map(|_| start)
    });
    let mut sent = 0;
    while within(writing.write_all(chunk.as_bytes())).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "the server reads all of it");
    }
    if let Ok(start) = answer.await.unwrap() {
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    assert_scrape_is_served(&server).await;
}

#[tokio::test]
async fn long_accept_headers_are_cheap() {
    let server = Server::start(state(every_status)).await;
    let header = format!("Accept: {}", "a/b;q=0.1,".repeat(1500));
    let begun = Instant::now();
    let bytes = server
        .raw(format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n"
        ))
        .await;
    assert_eq!(Reply::parse(&bytes, false).0.status, 200);
    assert!(begun.elapsed() < SCRAPE_BUDGET);
}
