//! Connections: reused, replaced, closed, hanging, over TLS, and none left behind.

use std::time::Duration;

use super::*;
use crate::common::targets::Target;
use crate::common::targets::tls::{Authority, self_signed};

#[tokio::test]
async fn one_connection_is_reused_between_runs() {
    let store = Store::start().await;
    let mut check = check(&store.keys(""));
    for _ in 0..5 {
        run!(check, LONG).succeeded();
        assert_eq!(store.connections(), 1);
    }
    drop(check);
    store.freed().await;
}

#[tokio::test]
async fn connections_are_not_reused_if_the_check_says_so() {
    let store = Store::start().await;
    let mut check = check(&store.keys("reuse_connection: false"));
    run!(check, LONG).succeeded();
    run!(check, LONG).succeeded();
    assert!(store.connections() <= 1);
    drop(check);
    store.freed().await;
}

#[tokio::test]
async fn an_old_connection_is_replaced() {
    let target = listing().await;
    let mut check = check(&keys_of(&target, ""));
    run!(check, LONG).succeeded();
    run!(check, LONG).succeeded();
    assert_eq!(target.accepted(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    run!(check, LONG).succeeded();
    assert_eq!(target.accepted(), 2);
}

#[tokio::test]
async fn a_restarted_store_is_up_in_the_same_run() {
    let mut store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&store.keys("buckets: [raw-iq]"));
    run!(check, LONG).succeeded();
    store.stop().await;
    store.start_again().await;
    run!(check, LONG).succeeded();
    store.stop().await;
    run!(check, LONG)
        .failed(Reason::Refused, "Connection refused")
        .without_response();
    store.start_again().await;
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
}

#[tokio::test]
async fn a_hanging_store_is_abandoned_at_the_deadline() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&store.keys("buckets: [raw-iq]"));
    run!(check, LONG).succeeded();
    store.freeze();
    // First over the reused connection, then over a new one.
    run!(check, SHORT).hung("requesting the bucket raw-iq");
    run!(check, SHORT).hung("requesting the bucket raw-iq");
    store.thaw();
    store.freed().await;
    run!(check, LONG).succeeded();
    drop(check);
    store.freed().await;
}

#[tokio::test]
async fn servers_that_are_not_stores() {
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n";
    for (target, reason, text) in [
        (
            Target::answering("SSH-2.0-OpenSSH_9.2\r\n").await,
            Reason::Protocol,
            "listing the buckets: the response is not valid HTTP",
        ),
        (
            Target::closing(false).await,
            Reason::Closed,
            "listing the buckets: it closed the connection before the end",
        ),
        (
            Target::closing(true).await,
            Reason::Closed,
            "listing the buckets: ",
        ),
        (
            Target::endless(endless).await,
            Reason::Limit,
            "listing the buckets: the response has more than 1048576 bytes",
        ),
        (
            Target::endless("HTTP/1.1 200 OK\r\nX-Long: ").await,
            Reason::Limit,
            "listing the buckets: the header has more than",
        ),
    ] {
        let mut check = check(&keys_of(&target, ""));
        run!(check, LONG).failed(reason, text).without_response();
        target.freed().await;
    }
    let target = Target::endless(endless).await;
    let mut named = check(&keys_of(&target, "buckets: [raw-iq]"));
    run!(named, LONG).failed(
        Reason::Limit,
        "requesting the bucket raw-iq: the response has more than 65536 bytes",
    );

    let target = Target::silent().await;
    let mut check = check(&keys_of(&target, ""));
    run!(check, SHORT).hung("listing the buckets");
    target.freed().await;
}

#[tokio::test]
async fn unreachable_addresses_and_unknown_names() {
    let address = Target::refusing().await;
    let mut refused = check(&format!(
        "kind: s3, endpoint: \"http://{address}\", access_key: a, secret_key: b"
    ));
    run!(refused, LONG)
        .failed(Reason::Refused, "Connection refused")
        .without_response();
    let mut unknown =
        check("kind: s3, endpoint: \"http://no-such-store.invalid\", access_key: a, secret_key: b");
    run!(unknown, LONG)
        .failed(Reason::Dns, "resolving no-such-store.invalid: ")
        .without_response();
}

#[tokio::test]
async fn certificates_are_verified_and_their_expiry_is_reported_in_every_run() {
    let authority = Authority::new("authority of the tests");
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let trusted = format!("tls_config: {{ ca_file: \"{}\" }}", ca.display());

    let good = Store::start_tls(&authority.issue(&["127.0.0.1", "localhost"], 2099)).await;
    let mut fine = check(&good.keys(&trusted));
    // MinIO may still be starting.
    crate::common::servers::eventually("it is ready", LONG, || {
        let mut first = check(&good.keys(&trusted));
        async move { run!(first, LONG).result?.ok() }
    })
    .await;
    good.freed().await;
    for _ in 0..2 {
        let ran = run!(fine, LONG);
        ran.succeeded();
        assert_eq!(ran.not_after(), Some(4_070_908_800.0));
        assert_eq!(good.connections(), 1);
    }
    let mut untrusted = check(&good.keys(""));
    run!(untrusted, LONG)
        .failed(Reason::Tls, "is not trusted")
        .without_response();
    drop((fine, untrusted));
    good.freed().await;

    let expired = Store::start_tls(&authority.issue(&["127.0.0.1"], 2021)).await;
    let mut late = check(&expired.keys(&trusted));
    let ran = run!(late, LONG);
    ran.failed(Reason::Tls, "the certificate expired on ")
        .without_response();
    assert_eq!(ran.not_after(), Some(1_609_459_200.0));

    let alone = Store::start_tls(&self_signed(&["127.0.0.1"])).await;
    let mut alone_check = check(&alone.keys(""));
    run!(alone_check, LONG).failed(Reason::Tls, "is self-signed: trust it with tls_config.ca_file");
}

#[tokio::test]
async fn tls_to_a_plain_port_is_a_failure() {
    let store = Store::start().await;
    let mut check = check(&format!(
        "kind: s3, endpoint: \"https://127.0.0.1:{}\", access_key: a, secret_key: b",
        store.port
    ));
    run!(check, LONG).failed(Reason::Tls, "does not speak TLS");
}

/// The keys of a check of a server that is not a store.
fn keys_of(target: &Target, more: &str) -> String {
    format!(
        "kind: s3, endpoint: \"{}\", access_key: a, secret_key: b, {more}",
        target.url("")
    )
}

/// A store without buckets that keeps its connections open.
async fn listing() -> Target {
    use tokio::io::AsyncWriteExt;
    Target::serve(|mut stream, _, _| async move {
        let body = "<ListAllMyBucketsResult/>";
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        while !crate::common::targets::read_request(&mut stream).await.is_empty() {
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        None
    })
    .await
}
