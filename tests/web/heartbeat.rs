//! Beats of jobs: every response, the limits, and bodies that are large or never end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::config::{Config, parse};
use upkeep_exporter::heartbeat::Heartbeats;
use upkeep_exporter::model::{BeatKind, JobView, Report};
use upkeep_exporter::web::{HeartbeatEndpoint, State};

use crate::client::{Reply, Server, state, within};
use crate::openapi::assert_is;
use crate::snapshots::every_status;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// A server with two jobs.
struct Jobs {
    server: Server,
    heartbeats: Heartbeats,
    config: Config,
}

impl Jobs {
    async fn start() -> Self {
        let job = |key: &str, token: &str| {
            format!("  - {{ key: {key}, checks: [{{ kind: heartbeat, token: {token}, every: 1h }}] }}\n")
        };
        let text = format!("services:\n{}{}", job("a", TOKEN), job("b", OTHER));
        let config = parse(&text, "test.yml").unwrap().config;
        let heartbeats = Heartbeats::default();
        heartbeats.apply(&config);
        let server = Server::start(State {
            heartbeats: HeartbeatEndpoint::new(heartbeats.clone()),
            ..state(every_status)
        })
        .await;
        Self {
            server,
            heartbeats,
            config,
        }
    }

    /// What a run of the check of the first job sees.
    async fn job(&self) -> Arc<JobView> {
        let context = CheckContext::new("/proc".into()).with_heartbeats(self.heartbeats.clone());
        let mut check = Check::new(&self.config.services[0].checks[0], &context);
        let mut report = Report::default();
        let _ = check.run(&mut report).await;
        report.job.unwrap()
    }

    async fn send(&self, method: &str, path: &str) -> Reply {
        self.server
            .request(method, &format!("/api/heartbeat/{path}"), &[])
            .await
    }

    async fn post(&self, path: &str, body: &[u8]) -> Reply {
        let head = format!(
            "POST /api/heartbeat/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = self.server.raw([head.as_bytes(), body].concat()).await;
        Reply::parse(&bytes, false).0
    }
}

#[tokio::test]
async fn every_method_and_signal_is_a_beat() {
    let jobs = Jobs::start().await;
    for (method, path, kind, exit_status) in [
        ("GET", "", BeatKind::Success, None),
        ("POST", "/start", BeatKind::Start, None),
        ("HEAD", "/fail", BeatKind::Fail, None),
        ("GET", "/0?rid=a-1_B", BeatKind::Success, Some(0)),
        ("POST", "/255", BeatKind::Fail, Some(255)),
    ] {
        let reply = jobs.send(method, &format!("{TOKEN}{path}")).await;
        assert_eq!(reply.status, 200, "{method} {path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.text(), if method == "HEAD" { "" } else { "OK\n" });
        let beat = jobs.job().await.beats[0].clone();
        assert_eq!((beat.kind, beat.exit_status), (kind, exit_status), "{path}");
        assert_eq!(beat.run_id.as_deref(), path.strip_prefix("/0?rid="));
    }
}

#[tokio::test]
async fn an_unknown_token_or_path_always_gets_the_same_response() {
    let jobs = Jobs::start().await;
    let mut seen = Vec::new();
    for path in [
        "x",
        &TOKEN[1..],
        &format!("{}0", &TOKEN[..31]),
        &format!("{TOKEN}/other"),
        &format!("{TOKEN}/256"),
        &format!("{TOKEN}/start/"),
        &format!("x{TOKEN}/start"),
        "",
    ] {
        let reply = jobs.send("GET", path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains(&TOKEN[..8]), "{}", reply.text());
        assert_is("Error", &serde_json::from_slice(&reply.body).unwrap());
        seen.push(reply.body);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
    assert!(jobs.job().await.beats.is_empty());
    assert_eq!(jobs.heartbeats.refused().unwrap()[0], ("unknown_token", 8));
}

#[tokio::test]
async fn invalid_requests_are_no_beats() {
    let jobs = Jobs::start().await;
    for (method, path, status) in [
        ("PUT", TOKEN.to_owned(), 405),
        ("DELETE", format!("{TOKEN}/start"), 405),
        ("GET", format!("{TOKEN}?rid="), 400),
        ("GET", format!("{TOKEN}?rid=a.b"), 400),
        ("GET", format!("{TOKEN}?rid={}", "a".repeat(65)), 400),
        ("GET", format!("{TOKEN}?run=1"), 400),
    ] {
        let reply = jobs.send(method, &path).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(!reply.text().contains(TOKEN), "{}", reply.text());
        assert_eq!(
            reply.header("allow"),
            (status == 405).then_some("GET, HEAD, POST")
        );
    }
    assert!(jobs.job().await.beats.is_empty());
}

#[tokio::test]
async fn too_many_beats_of_one_job_or_client_are_refused_with_a_time() {
    let jobs = Jobs::start().await;
    let mut accepted = 0;
    let refused = loop {
        let reply = jobs.send("GET", TOKEN).await;
        match reply.status {
            200 => accepted += 1,
            _ => break reply,
        }
    };
    assert_eq!(refused.status, 429);
    // One more for each second that the requests took.
    assert!((20..=60).contains(&accepted), "{accepted}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // So does a client that guesses, but valid tokens of the same client still count.
    let mut unknown = 0;
    while jobs.send("GET", "unknown").await.status == 404 {
        unknown += 1;
    }
    assert!((10..=60).contains(&unknown), "{unknown}");
    assert_eq!(jobs.send("POST", OTHER).await.status, 200);
}

#[tokio::test]
async fn the_first_ten_kilobytes_of_a_body_are_the_message() {
    let jobs = Jobs::start().await;
    for (body, kept) in [
        (b"all is well\n".to_vec(), 11),
        (vec![b'x'; 9_999], 9_999),
        (vec![b'x'; 10_001], 10_000),
        (vec![b'x'; 500_000], 10_000),
    ] {
        assert_eq!(jobs.post(TOKEN, &body).await.status, 200);
        assert_eq!(jobs.job().await.beats[0].message.len(), kept);
    }
    let text = format!("\u{1b}[31mGET /api/heartbeat/{TOKEN}\r\n{OTHER}");
    assert_eq!(
        jobs.post(&format!("{TOKEN}/1"), text.as_bytes()).await.status,
        200
    );
    let job = jobs.job().await;
    assert_eq!(job.beats[0].message, " [31mGET /api/heartbeat/<secret>\n<secret>");
    assert_eq!(job.beats.len(), 5);
}

#[tokio::test]
async fn a_body_that_never_ends_counts_at_once_and_ends_soon() {
    let jobs = Jobs::start().await;
    let mut slow = jobs.server.connect().await;
    let head = format!(
        "POST /api/heartbeat/{TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nfirst"
    );
    let began = Instant::now();
    slow.write_all(head.as_bytes()).await.unwrap();
    // Its beat counts while the body is still incomplete, and other requests are served.
    while jobs.job().await.beats.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(5), "it waits for the body");
        let other = jobs.send("GET", OTHER).await.status;
        assert!(matches!(other, 200 | 429), "{other}");
    }
    let mut response = vec![0; 15];
    within(slow.read_exact(&mut response)).await.unwrap();
    assert_eq!(response, b"HTTP/1.1 200 OK");
    assert!(began.elapsed() >= Duration::from_secs(4), "the body has 5 s");
    assert_eq!(jobs.job().await.beats[0].message, "first");
    // An endless one is closed after a megabyte.
    let mut endless = jobs.server.connect().await;
    let head = format!(
        "POST /api/heartbeat/{TOKEN} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    endless.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let sending = async {
        let mut sent = 0;
        while endless.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        sent
    };
    let sent = within(sending).await;
    // In addition to what is read, buffers of the sockets take some.
    assert!((1 << 20..40 << 20).contains(&sent), "{sent} bytes");
    assert_eq!(jobs.job().await.beats[0].message.len(), 10_000);
}
