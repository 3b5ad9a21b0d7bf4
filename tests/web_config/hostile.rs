//! Clients that do not finish their handshakes, do not read their responses, or guess passwords.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;

use crate::common::servers::eventually;
use crate::guarded::{Answer, Guarded, LONG, TLS, hash, http2_client};

/// The beginning of a handshake record that says it is 512 bytes long.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn resident_kilobytes(guarded: &Guarded) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guarded.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_unfinished_handshake_times_out() {
    let guarded = Guarded::start(TLS).await;
    let begun = Instant::now();
    let mut streams: Vec<_> = [&[][..], HALF_A_HELLO]
        .into_iter()
        .map(|bytes| {
            let mut stream = TcpStream::connect(("127.0.0.1", guarded.port)).unwrap();
            stream.write_all(bytes).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        })
        .collect();
    for stream in &mut streams {
        // A closed or reset connection, not a read that timed out.
        let end = stream.read(&mut [0; 16]);
        assert!(
            !matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
            "{end:?}"
        );
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(8) && took < Duration::from_secs(15),
        "{took:?}"
    );
}

#[tokio::test]
async fn scrapes_are_served_during_a_flood_of_handshakes() {
    let guarded = Guarded::start(TLS).await;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = || {
            let mut held = std::collections::VecDeque::new();
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", guarded.port)) {
                    let _ = stream.write_all(HALF_A_HELLO);
                    held.push_back(stream);
                }
                if held.len() > 400 {
                    held.pop_front();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        scope.spawn(flood);
        scope.spawn(flood);
        std::thread::sleep(Duration::from_secs(2));
        let scrapes: Vec<_> = (0..20).map(|_| guarded.https("/metrics", &["--http2"])).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        for scrape in scrapes {
            assert_eq!(scrape.status, 200, "{scrape:?}");
        }
    });
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", guarded.pid()))
        .unwrap()
        .count();
    assert!(descriptors < 600, "{descriptors} descriptors");
}

/// An HTTP/2 client that requests the metrics `count` times and does not read the responses.
async fn request_without_reading(guarded: &Guarded, count: usize) -> impl Drop + use<> {
    struct Held(tokio::task::JoinSet<()>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.abort_all();
        }
    }
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1);
    let (sender, connection) = http2_client(guarded, builder).await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    for _ in 0..count {
        let mut sender = sender.clone();
        tasks.spawn(async move {
            let request = Request::get("https://localhost/metrics")
                .body(Full::default())
                .unwrap();
            // The response is held with its body unread.
            let _answer = sender.send_request(request).await;
            std::future::pending().await
        });
    }
    Held(tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_clients_that_do_not_read_do_not_block_a_scrape() {
    let guarded = Guarded::start(TLS).await;
    assert_eq!(guarded.https("/metrics", &["--http2"]).status, 200);
    let before = resident_kilobytes(&guarded);
    let mut held = Vec::new();
    for _ in 0..100 {
        // More than a connection may have in progress.
        held.push(request_without_reading(&guarded, 40).await);
    }
    for _ in 0..5 {
        let begun = Instant::now();
        let scrape = guarded.https("/metrics", &["--http2"]);
        assert_eq!(scrape.status, 200, "{scrape:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    let grown = resident_kilobytes(&guarded).saturating_sub(before);

    assert!(grown < 40_000, "{grown} kB");
    // The memory is freed with the connections.
    drop(held);
    let sockets = || {
        std::fs::read_dir(format!("/proc/{}/fd", guarded.pid()))
            .unwrap()
            .count()
    };
    eventually("the connections are closed", LONG, || async {
        (sockets() < 60).then_some(())
    })
    .await;
}

#[tokio::test]
async fn handshakes_and_idle_connections_do_not_delay_the_shutdown() {
    let mut guarded = Guarded::start(TLS).await;
    let mut silent = TcpStream::connect(("127.0.0.1", guarded.port)).unwrap();
    silent.write_all(HALF_A_HELLO).unwrap();
    let (mut sender, connection) = http2_client(&guarded, http2::Builder::new(TokioExecutor::new())).await;
    let connection = tokio::spawn(connection);
    let request = Request::get("https://localhost/-/healthy")
        .body(Full::default())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    guarded.terminate(Duration::from_secs(1));
    drop(connection.await.unwrap());
}

/// One login attempt from a loopback address.
fn attempt(guarded: &Guarded, from: &str, number: usize) -> Answer {
    let credentials = format!("alice:{number}");
    guarded.http("/metrics", &["--interface", from, "-u", &credentials])
}

#[tokio::test]
async fn guessing_passwords_is_blocked_and_delays_no_other_client() {
    let guarded = Guarded::start(&format!(
        "basic_auth_users:\n  alice: {}\n  prometheus: {}\n",
        hash("wonderland", 11),
        hash("scrape", 11)
    ))
    .await;
    let scrape = || {
        let begun = Instant::now();
        let answer = guarded.http(
            "/metrics",
            &["--interface", "127.0.0.1", "-u", "prometheus:scrape"],
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        begun.elapsed()
    };
    let scrape_from =
        |address: &str| guarded.http("/metrics", &["--interface", address, "-u", "prometheus:scrape"]);
    scrape();
    assert_eq!(scrape_from("127.0.0.2").status, 200);
    let before = resident_kilobytes(&guarded);
    let begun = Instant::now();
    let mut statuses = BTreeMap::new();
    std::thread::scope(|scope| {
        let attackers: Vec<_> = (2..6)
            .map(|address| {
                let guarded = &guarded;
                scope.spawn(move || {
                    // Two addresses guess, with two threads each.
                    let from = format!("127.0.0.{}", 2 + address % 2);
                    (0..40)
                        .map(|number| attempt(guarded, &from, 100 * address + number).status)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // Meanwhile known clients are served at once, even from the address of an attacker if they logged in there before.
        for _ in 0..10 {
            let took = scrape();
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        let own = scrape_from("127.0.0.2");
        assert_eq!(own.status, 200, "{own:?}");
        for attacker in attackers {
            for status in attacker.join().unwrap() {
                *statuses.entry(status).or_insert(0) += 1;
            }
        }
    });
    // Ten at once for each of the two addresses, and one more every six seconds.
    let (tried, came_back) = (statuses[&401], begun.elapsed().as_secs() / 6 + 1);
    assert!((20..=20 + 2 * came_back).contains(&tried), "{statuses:?}");
    assert_eq!(
        statuses.keys().copied().collect::<Vec<_>>(),
        [401, 429],
        "{statuses:?}"
    );
    // A few attempts may have become available meanwhile.
    let refused = (0..20)
        .map(|_| guarded.http("/metrics", &["--interface", "127.0.0.2", "-u", "alice:x"]))
        .find(|answer| answer.status == 429)
        .unwrap();
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    // A blocked address can't test the password of a user who has logged in elsewhere.
    eventually("an address without attempts for a second", LONG, || async {
        let refused = attempt(&guarded, "127.0.0.3", 0);
        let has_time = refused.head.lines().all(|line| line != "retry-after: 1");
        (refused.status == 429 && has_time).then_some(())
    })
    .await;
    let guessed = scrape_from("127.0.0.3");
    assert_eq!(guessed.status, 429, "{guessed:?}");
    let metrics = guarded.http(
        "/metrics",
        &["--interface", "127.0.0.1", "-u", "prometheus:scrape"],
    );
    let counted = |reason: &str| -> u64 {
        let start = format!("upkeep_web_refused_requests_total{{reason=\"{reason}\"}} ");
        let line = metrics.body.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start}: {}", metrics.body))
            .parse()
            .unwrap()
    };
    assert!(counted("unauthorized") >= tried);
    assert!(counted("too_many_failures") > statuses[&429]);
    assert_eq!((counted("rate_limit"), counted("busy")), (0, 0));
    let grown = resident_kilobytes(&guarded).saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB");
    // Another address can log in.
    let other = guarded.http(
        "/metrics",
        &["--interface", "127.0.0.9", "-u", "alice:wonderland"],
    );
    assert_eq!(other.status, 200, "{other:?}");
    // The log has one line about the attackers, and none about known clients.
    let log = guarded.log();
    assert_eq!(
        log.matches("login failed: wrong user or password").count(),
        1,
        "{log}"
    );
    assert!(
        !log.contains("client=127.0.0.1 ") && !log.contains("wonderland"),
        "{log}"
    );
}
