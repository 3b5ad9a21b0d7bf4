//! The places of probes: given back when a client goes, and shared among addresses.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::common::exporter::{Exporter, LONG};
use crate::common::targets::{Target, ok};
use crate::{path, probe};

const PATIENT: &str = "modules: { http_2xx: { prober: http, timeout: 60s } }\n\
                       probe: { max_concurrent: 4, allow: [{ networks: [127.0.0.0/8] }] }\n";

/// Sends a request for `path` from a loopback address, and the bytes `then` after it.
async fn asked_from(exporter: &Exporter, from: &str, path: &str, then: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let url = exporter.url("");
    let address = url.trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 3600\r\n\r\n{then}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_goes_gives_its_place_back_at_once() {
    let target = Target::silent().await;
    let exporter = Exporter::start(PATIENT, &[]).await;
    let path = path("http_2xx", &target.url("/"));
    // What it sent after the request is never read, so its end is behind that.
    for then in ["", "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", "garbage"] {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(asked_from(&exporter, "127.0.0.1", &path, then).await);
        }
        exporter.becomes("upkeep_probes_in_flight", 4.0, LONG).await;
        drop(clients);
        exporter.becomes("upkeep_probes_in_flight", 0.0, LONG).await;
        target.freed().await;
    }
    // One that is gone before its request is looked at makes no probe, or one that ends at once.
    for _ in 0..50 {
        drop(asked_from(&exporter, "127.0.0.1", &path, "").await);
    }
    exporter.becomes("upkeep_probes_in_flight", 0.0, LONG).await;
    // One that only closes its own side can't be told from these, but learns why.
    let mut half = asked_from(&exporter, "127.0.0.1", &path, "").await;
    half.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(LONG, half.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("closed its side"),
        "{answer}"
    );
    // Other pages are served to such a client.
    let mut half = asked_from(&exporter, "127.0.0.1", "/-/healthy", "").await;
    half.shutdown().await.unwrap();
    answer.clear();
    let read = tokio::time::timeout(LONG, half.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(exporter.value("upkeep_probe_failures_total").await, Some(0.0));
}

#[tokio::test]
async fn places_are_shared_among_addresses() {
    let (silent, fine) = (Target::silent().await, Target::answering(ok("fine")).await);
    let exporter = Exporter::start(PATIENT, &[]).await;
    let hanging = path("http_2xx", &silent.url("/"));
    let mut greedy = Vec::new();
    for taken in 1..=4_u8 {
        greedy.push(asked_from(&exporter, "127.0.0.66", &hanging, "").await);
        exporter
            .becomes("upkeep_probes_in_flight", taken.into(), LONG)
            .await;
    }
    // It gets no more itself; another address does, in place of the newest one.
    let mut more = asked_from(&exporter, "127.0.0.66", &hanging, "").await;
    let mut start = [0; 12];
    let read = tokio::time::timeout(LONG, more.read_exact(&mut start)).await;
    read.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 429");
    let (status, answer) = probe(&exporter, "http_2xx", &fine.url("/")).await;
    assert_eq!(
        (status, answer.contains("probe_success 1")),
        (200, true),
        "{answer}"
    );
    let read = tokio::time::timeout(LONG, greedy[3].read_exact(&mut start)).await;
    read.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 429");
    exporter.becomes("upkeep_probes_in_flight", 3.0, LONG).await;
    let refused = "upkeep_probe_refused_total{reason=\"too_many\"}";
    assert_eq!(exporter.value(refused).await, Some(2.0));
}
