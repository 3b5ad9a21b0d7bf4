//! Keys: wrong, changed and restricted ones, and that no output shows them.

use std::fs;

use super::*;
use crate::common::exporter::Exporter;

#[tokio::test]
async fn wrong_access_and_secret_keys_are_distinguished() {
    let store = Store::start().await;
    let url = store.url();
    let keys = |access: &str, secret: &str| {
        format!(
            "kind: s3, endpoint: \"{url}\", access_key: {access}, secret_key: {secret}, buckets: [raw-iq]"
        )
    };
    let mut wrong_secret = check(&keys(ACCESS_KEY, "not-the-secret"));
    let ran = run!(wrong_secret, LONG);
    ran.failed(
        Reason::Auth,
        "the secret key does not match the access key (SignatureDoesNotMatch): correct secret_key",
    );
    assert!(ran.report.response_time.is_some(), "no response time");
    // Nothing is known about the bucket, so it has no series.
    assert_eq!(present(&ran, "raw-iq"), None);
    // The server is live nevertheless.
    assert_eq!(ran.value("upkeep_s3_live", None), Some(1.0));

    let mut wrong_key = check(&keys("somebody-else", SECRET_KEY));
    run!(wrong_key, LONG).failed(Reason::Auth, "the store does not know the access key (");
    let shown = format!("{wrong_secret:?} {wrong_key:?} {:?}", ran.report);
    for secret in ["not-the-secret", "somebody-else", ACCESS_KEY, SECRET_KEY] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    store.freed().await;
}

#[tokio::test]
async fn changed_key_files_are_used_in_the_next_run() {
    let mut store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let dir = tempfile::tempdir().unwrap();
    let (access, secret) = (dir.path().join("access"), dir.path().join("secret"));
    fs::write(&access, format!("{ACCESS_KEY}\n")).unwrap();
    fs::write(&secret, format!("{SECRET_KEY}\n")).unwrap();
    let mut check = check(&format!(
        "kind: s3, endpoint: \"{}\", access_key_file: \"{}\", secret_key_file: \"{}\", buckets: [raw-iq]",
        store.url(),
        access.display(),
        secret.display()
    ));
    run!(check, LONG).succeeded();
    store.rotate("another-access-key", "another-secret-key").await;
    run!(check, LONG).failed(Reason::Auth, "the store does not know the access key");
    fs::write(&access, "another-access-key").unwrap();
    run!(check, LONG).failed(Reason::Auth, "the secret key does not match the access key");
    fs::write(&secret, "another-secret-key").unwrap();
    run!(check, LONG).succeeded();

    fs::write(&secret, "").unwrap();
    run!(check, LONG).failed(Reason::Auth, "secret_key is empty: write the key into it");
    fs::remove_file(&secret).unwrap();
    let ran = run!(check, LONG);
    ran.failed(Reason::Auth, "secret_key: reading the secret file ")
        .without_response();
}

#[tokio::test]
async fn a_key_without_permission_for_a_bucket() {
    let store = Store::in_process().await;
    for bucket in ["raw-iq", "secrets"] {
        store.make_bucket(bucket).await;
    }
    *store.switches().denied.lock().unwrap() = Some("secrets");
    let not_allowed =
        "the key lacks permission for the bucket secrets (AccessDenied): allow it s3:GetBucketLocation";
    // One request was accepted, so the keys are valid.
    let mut both = check(&store.keys("buckets: [raw-iq, secrets]"));
    let ran = run!(both, LONG);
    warned(&ran, Reason::Auth, not_allowed);
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert_eq!(present(&ran, "secrets"), None);
    // A missing bucket is worse than an unknown one.
    let mut missing = check(&store.keys("buckets: [secrets, spectra]"));
    warned(
        &run!(missing, LONG),
        Reason::Missing,
        "the store does not have the bucket spectra",
    );
    // No request was accepted.
    let mut none = check(&store.keys("buckets: [secrets]"));
    run!(none, LONG).failed(Reason::Auth, not_allowed);
}

#[tokio::test]
async fn no_output_of_the_exporter_contains_a_key() {
    let store = Store::start().await;
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "wrong-secret-in-a-file").unwrap();
    let url = store.url();
    let config = format!(
        "services:\n- key: good\n  group: g\n  checks: [{{ {}, interval: 100ms, recheck_interval: 100ms }}]\n\
         - key: bad\n  group: g\n  checks: [{{ kind: s3, endpoint: \"{url}\", access_key: {ACCESS_KEY}, secret_key_file: \"{}\", \
         session_token: a-session-token, interval: 100ms, recheck_interval: 100ms }}]\n",
        store.keys("buckets: [raw-iq]"),
        secret.display()
    );
    let exporter = Exporter::start(&config, &["--log.level=debug"]).await;
    let of = |name: &str, service: &str, label: &str| {
        format!("{name}{{service=\"{service}\",group=\"g\",check=\"s3\"{label}}}")
    };
    let present = of("upkeep_s3_bucket_present", "good", ",bucket=\"raw-iq\"");
    exporter.becomes(&present, 0.0, LONG).await;
    exporter
        .becomes(&of("upkeep_check_success", "bad", ""), 0.0, LONG)
        .await;
    store.make_bucket("raw-iq").await;
    exporter.becomes(&present, 1.0, LONG).await;
    let mut shown = exporter.metrics().await + &exporter.server.log();
    for path in ["/", "/api/status"] {
        let page = crate::common::servers::get(&exporter.url(path)).await;
        shown += &page.unwrap_or_default();
    }
    assert!(shown.contains(&format!("target=\"{url}\"")), "{shown}");
    // One store refuses the signature, the other one the token before it.
    assert!(
        shown.contains("service=bad old=unknown new=down check=s3 reason=auth"),
        "{shown}"
    );
    for secret in [
        ACCESS_KEY,
        SECRET_KEY,
        "wrong-secret-in-a-file",
        "a-session-token",
        "X-Amz-",
    ] {
        assert!(!shown.contains(secret), "{secret} is in\n{shown}");
    }
    drop(exporter);
    store.freed().await;
}
