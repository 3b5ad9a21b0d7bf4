//! Scrapes share renderings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tokio::task::JoinSet;
use upkeep_exporter::store::Snapshot;

use crate::client::{Server, state, within};
use crate::snapshots::{NOW, every_status, snapshot};

/// A source that counts its calls, uses the count as the time, and waits until a call is allowed.
struct Source {
    calls: AtomicU64,
    allowed: Mutex<u64>,
    opened: Condvar,
}

impl Source {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            allowed: Mutex::new(0),
            opened: Condvar::new(),
        })
    }

    fn call(&self) -> Snapshot {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut allowed = self.allowed.lock().unwrap();
        while *allowed < call {
            allowed = self.opened.wait(allowed).unwrap();
        }
        let mut snapshot = snapshot(Vec::new());
        snapshot.taken = NOW + call as f64;
        snapshot
    }

    fn allow(&self, calls: u64) {
        *self.allowed.lock().unwrap() = calls;
        self.opened.notify_all();
    }

    async fn called(&self, calls: u64) {
        within(async {
            while self.calls.load(Ordering::SeqCst) < calls {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn waiting_scrapes_share_a_rendering_that_began_after_them() {
    let source = Source::new();
    let called = Arc::clone(&source);
    let server = Arc::new(Server::start(state(move || called.call())).await);
    let scrape = |headers: &'static [&'static str]| {
        let server = Arc::clone(&server);
        async move { server.get("/metrics", headers).await }
    };
    let first = tokio::spawn(scrape(&[]));
    source.called(1).await;
    let mut others = JoinSet::new();
    for _ in 0..20 {
        others.spawn(scrape(&[]));
        others.spawn(scrape(&["Accept: application/openmetrics-text"]));
        others.spawn(scrape(&["Accept-Encoding: gzip"]));
    }
    // All of them have been accepted once a request sent after them is answered 40 times over.
    for _ in 0..40 {
        assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
    }
    source.allow(1);
    let expected = |call: f64| format!("upkeep_clock_timestamp_seconds {}", NOW + call);
    assert!(within(first).await.unwrap().text().contains(&expected(1.0)));
    source.called(2).await;
    source.allow(100);
    while let Some(reply) = within(others.join_next()).await {
        let reply = reply.unwrap();
        if reply.header("content-encoding").is_none() {
            assert!(!reply.text().contains(&expected(1.0)), "older than the scrape");
        }
    }
    // One per variant for all that arrived in time, and a few for stragglers.
    let calls = source.calls.load(Ordering::SeqCst);
    assert!((2..10).contains(&calls), "{calls} renderings of 61 scrapes");
}

#[tokio::test]
async fn a_panic_while_rendering_fails_only_the_waiting_scrapes() {
    let calls = AtomicU64::new(0);
    let server = Server::start(state(move || match calls.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("on purpose"),
        _ => every_status(),
    }))
    .await;
    assert_eq!(server.get("/metrics", &[]).await.status, 500);
    assert_eq!(server.get("/metrics", &[]).await.status, 200);
}
