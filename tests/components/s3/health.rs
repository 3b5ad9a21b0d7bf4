//! `MinIO`'s health endpoints: when they are queried, and what their responses mean.

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
        "requesting the health of MinIO's cluster: the cluster has no write quorum: bring its missing drives or servers back \
         (/minio/health/cluster responded with 503 Service Unavailable)",
    );
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(0.0)));
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert!(
        ran.report.response_time.is_some(),
        "no response time of the signed request"
    );

    store.switches().live.store(503, Ordering::SeqCst);
    let ran = run!(check, LONG);
    ran.failed(
        Reason::State,
        "requesting MinIO's liveness: the server is not live",
    );
    assert_eq!((live(&ran), cluster(&ran)), (Some(0.0), Some(0.0)));

    for switch in [&store.switches().live, &store.switches().cluster] {
        switch.store(200, Ordering::SeqCst);
    }
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn a_refused_request_comes_before_the_health() {
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
async fn health_is_not_queried_on_other_stores() {
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

    // A proxy may hide the product, but the configuration can name it.
    let mut minio = check(&store.keys("health: minio"));
    let ran = run!(minio, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn health_is_not_queried_if_disabled() {
    let store = Store::in_process().await;
    store.switches().cluster.store(503, Ordering::SeqCst);
    let mut check = check(&store.keys("health: none"));
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
}

#[tokio::test]
async fn a_blocked_health_endpoint_is_a_failure_only_if_required() {
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
        "/minio/health/live responded with 403 Forbidden: allow it in the proxy in front of MinIO, or set health: none",
    );
    assert_eq!((live(&ran), cluster(&ran)), (None, None));
}
