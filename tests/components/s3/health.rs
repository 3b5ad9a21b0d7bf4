//! `MinIO`'s health endpoints: when they are asked, and what their answers mean.

use std::sync::atomic::Ordering;

use super::*;

fn live(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_s3_live", None)
}

fn cluster(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_s3_cluster_healthy", None)
}

#[tokio::test]
async fn a_cluster_without_quorum_is_a_failure() {
    let store = Store::in_process().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&store.keys("buckets: [raw-iq]"));
    run!(check, LONG).succeeded();
    store.switches().cluster.store(503, Ordering::SeqCst);
    let ran = run!(check, LONG);
    ran.failed(
        Reason::State,
        "asking MinIO for the health of its cluster: it has no write quorum: bring its missing drives or servers back \
         (/minio/health/cluster answered 503 Service Unavailable)",
    );
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(0.0)));
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert!(
        ran.report.response_time.is_some(),
        "it answered the signed request"
    );

    store.switches().live.store(503, Ordering::SeqCst);
    let ran = run!(check, LONG);
    ran.failed(Reason::State, "asking MinIO whether it is live: it is not");
    assert_eq!((live(&ran), cluster(&ran)), (Some(0.0), Some(0.0)));

    for switch in [&store.switches().live, &store.switches().cluster] {
        switch.store(200, Ordering::SeqCst);
    }
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn what_the_store_says_of_a_request_comes_before_its_health() {
    let store = Store::in_process().await;
    store.switches().cluster.store(503, Ordering::SeqCst);
    let mut check = check(&format!(
        "kind: s3, endpoint: \"{}\", access_key: {ACCESS_KEY}, secret_key: wrong",
        store.url()
    ));
    let ran = run!(check, LONG);
    ran.failed(Reason::Auth, "SignatureDoesNotMatch");
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(0.0)));
}

#[tokio::test]
async fn other_stores_are_not_asked_for_a_health_of_minio() {
    let store = Store::in_process().await;
    store.switches().is_minio.store(false, Ordering::SeqCst);
    let mut auto = check(&store.keys("health: auto"));
    let ran = run!(auto, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
    assert_eq!(
        *store.switches().paths.lock().unwrap(),
        ["/minio/health/cluster", "/"]
    );

    // A proxy hides what it is, but one knows.
    let mut minio = check(&store.keys("health: minio"));
    let ran = run!(minio, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn nothing_is_asked_where_that_is_not_wanted() {
    let store = Store::in_process().await;
    store.switches().cluster.store(503, Ordering::SeqCst);
    let mut check = check(&store.keys("health: none"));
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
}

#[tokio::test]
async fn a_proxy_that_keeps_the_health_back_matters_only_where_it_is_wanted() {
    let store = Store::in_process().await;
    for switch in [&store.switches().live, &store.switches().cluster] {
        switch.store(403, Ordering::SeqCst);
    }
    let mut auto = check(&store.keys(""));
    let ran = run!(auto, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
    let mut wanted = check(&store.keys("health: minio"));
    let ran = run!(wanted, LONG);
    ran.failed(
        Reason::Status,
        "/minio/health/live answered 403 Forbidden: let it through where a proxy stands before MinIO, or write health: none",
    );
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
}
