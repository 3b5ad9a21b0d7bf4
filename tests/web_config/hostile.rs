//! Clients that do not finish their handshakes, and such that try passwords.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::guarded::{Guarded, TLS, hash};

/// The beginning of a handshake record that says it is 512 bytes long.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn resident_kilobytes(guarded: &Guarded) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guarded.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
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
async fn scrapes_are_served_beside_a_flood_of_handshakes() {
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

/// One attempt from a loopback address of its own.
fn attempt(guarded: &Guarded, from: &str, number: usize) -> u16 {
    let credentials = format!("alice:{number}");
    guarded
        .http("/metrics", &["--interface", from, "-u", &credentials])
        .status
}

#[tokio::test]
async fn who_tries_passwords_is_stopped_and_others_are_not_delayed() {
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
    scrape();
    let before = resident_kilobytes(&guarded);
    let mut statuses = BTreeMap::new();
    std::thread::scope(|scope| {
        let attackers: Vec<_> = (2..6)
            .map(|address| {
                let guarded = &guarded;
                scope.spawn(move || {
                    // Two addresses try, by two threads each.
                    let from = format!("127.0.0.{}", 2 + address % 2);
                    (0..40)
                        .map(|number| attempt(guarded, &from, number))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // Known clients are served at once meanwhile, from the attackers' addresses too.
        for _ in 0..10 {
            let took = scrape();
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        let own = guarded.http(
            "/metrics",
            &["--interface", "127.0.0.2", "-u", "prometheus:scrape"],
        );
        assert_eq!(own.status, 200, "{own:?}");
        for attacker in attackers {
            for status in attacker.join().unwrap() {
                *statuses.entry(status).or_insert(0) += 1;
            }
        }
    });
    // Ten at once for each address, and few more as time goes by.
    let tried = statuses[&401];
    assert!((20..50).contains(&tried), "{statuses:?}");
    assert_eq!(
        statuses.keys().copied().collect::<Vec<_>>(),
        [401, 429],
        "{statuses:?}"
    );
    let refused = guarded.http(
        "/metrics",
        &["--interface", "127.0.0.2", "-u", "alice:wonderland"],
    );
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    let grown = resident_kilobytes(&guarded).saturating_sub(before);
    assert!(grown < 20_000, "{grown} kB");
    // Another address is free to log in.
    let other = guarded.http(
        "/metrics",
        &["--interface", "127.0.0.9", "-u", "alice:wonderland"],
    );
    assert_eq!(other.status, 200, "{other:?}");
}
