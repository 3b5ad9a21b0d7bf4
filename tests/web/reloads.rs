//! `POST /-/reload`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use upkeep_exporter::web::{Reloader, State};

use crate::client::{DEADLINE, Server, state, within};
use crate::snapshots::every_status;

fn reloadable(reloader: Reloader) -> State {
    State {
        reloader,
        is_lifecycle_enabled: true,
        ..state(every_status)
    }
}

#[tokio::test]
async fn forbidden_unless_enabled() {
    let reloads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reloads);
    let mut state = reloadable(Reloader::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }));
    state.is_lifecycle_enabled = false;
    let server = Server::start(state).await;
    let reply = server.request("POST", "/-/reload", &[]).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("--web.enable-lifecycle") && reply.text().contains("SIGHUP"));
    assert_eq!(reloads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn success_and_errors_are_reported() {
    let reloads = Arc::new(AtomicUsize::new(0));
    let server = Server::start(reloadable(Reloader::new(move || {
        let is_first = reloads.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            match is_first {
                true => Ok(()),
                false => Err("u.yml:1:1: first\nu.yml:2:1: second".into()),
            }
        })
    })))
    .await;
    assert_eq!(
        server
            .request("POST", "/-/reload", &["Content-Length: 0"])
            .await
            .status,
        200
    );
    let reply = server.request("POST", "/-/reload", &[]).await;
    assert_eq!(reply.status, 500);
    assert!(
        reply.text().ends_with("\nu.yml:1:1: first\nu.yml:2:1: second\n"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn one_at_a_time_and_to_its_end_even_if_the_client_leaves() {
    let gate = Arc::new(Semaphore::new(0));
    let [running, most, done] = [0; 3].map(|_| Arc::new(AtomicUsize::new(0)));
    let hook = {
        let (gate, running, most, done) = (gate.clone(), running.clone(), most.clone(), done.clone());
        move || -> upkeep_exporter::web::ReloadFuture {
            let (gate, running, most, done) = (gate.clone(), running.clone(), most.clone(), done.clone());
            Box::pin(async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        }
    };
    let server = Server::start(reloadable(Reloader::new(hook))).await;
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        within(async {
            while running.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        drop(stream);
    }
    let waiting = server.request("POST", "/-/reload", &[]);
    gate.add_permits(10);
    assert_eq!(waiting.await.status, 200);
    let deadline = Instant::now() + DEADLINE;
    while done.load(Ordering::SeqCst) < 2 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_panic_in_it_is_an_answer() {
    let server = Server::start(reloadable(Reloader::new(|| {
        Box::pin(async { panic!("on purpose") })
    })))
    .await;
    for _ in 0..2 {
        let reply = server.request("POST", "/-/reload", &[]).await;
        assert!(reply.status == 500 && reply.text().contains("failed inside the exporter"));
    }
}
