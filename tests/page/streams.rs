//! The page without a stream, and with responses that arrive out of order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use upkeep_exporter::store::Snapshot;
use upkeep_exporter::web::MAX_STREAMS;

use crate::browser::Browser;
use crate::common::snapshots::{answered, check, every_status, service, snapshot, tcp};
use crate::served::served;

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_stream_the_page_polls() {
    let address = served(|| Snapshot {
        taken: now(),
        ..every_status()
    })
    .await;
    let mut others = Vec::new();
    for _ in 0..MAX_STREAMS {
        let mut stream = TcpStream::connect(address.trim_start_matches("http://"))
            .await
            .unwrap();
        let request = b"GET /api/events?only=status HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut start = [0; 15];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        others.push(stream);
    }
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.open(&format!("{address}/")).await;
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shown = tab
            .eval("[Date.now() - new Date(document.querySelector('#taken time').dateTime), document.getElementById('connection').hidden]")
            .await;
        assert!(
            shown[0].as_u64().unwrap() < 14_000 && shown[1] == json!(true),
            "{shown}"
        );
    }
    // Streams are available again.
    drop(others);
    tab.until("Date.now() - new Date(document.querySelector('#taken time').dateTime) < 1500")
        .await;
    let later = "new Promise((done) => setTimeout(() => done(Date.now() - new Date(document.querySelector('#taken time').dateTime)), 3000))";
    let mut ages = Vec::new();
    for _ in 0..10 {
        ages.push(tab.eval(later).await.as_u64().unwrap());
        if ages.iter().rev().take(3).filter(|age| **age < 2500).count() == 3 {
            return;
        }
    }
    panic!("no stream: {ages:?}");
}

/// A service whose response time is this, in milliseconds.
fn answering_in(millis: &AtomicU32) -> Snapshot {
    let seconds = f64::from(millis.load(Ordering::SeqCst)) / 1000.0;
    let checks = vec![answered(check("tcp", tcp("192.0.2.1")), seconds)];
    let tier = upkeep_exporter::model::Tier::Critical;
    Snapshot {
        taken: now(),
        ..snapshot(vec![service("web", "Web", "", tier, checks)])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_response_does_not_overwrite_newer_rows() {
    let millis = Arc::new(AtomicU32::new(111));
    let source = Arc::clone(&millis);
    let address = served(move || answering_in(&source)).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.open(&format!("{address}/")).await;
    // The stream is open, and the page was fetched after that.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let held = json!({ "patterns": [{ "resourceType": "Fetch", "requestStage": "Response" }] });
    tab.call("Fetch.enable", held).await;
    tab.eval("document.dispatchEvent(new Event('visibilitychange')); 1")
        .await;
    let request = tab.event("Fetch.requestPaused").await["requestId"].clone();
    assert!(request.is_string());
    millis.store(222, Ordering::SeqCst);
    let latency = "document.querySelector('.latency').textContent";
    tab.until(&format!("{latency}.startsWith('222')")).await;
    tab.call("Fetch.continueRequest", json!({ "requestId": request }))
        .await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let shown: Value = tab.eval(latency).await;
        assert_eq!(shown, "222\u{a0}ms");
    }
}
