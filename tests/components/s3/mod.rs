//! s3 checks against a store that verifies signatures; with `make conformance` against the real `MinIO`. What one `MinIO` on
//! one machine can't be brought to do is asked of the store in this process in both cases (`Store::in_process`), and what no
//! store does on purpose of scripted sockets.

mod answers;
mod connections;
mod health;
mod keys;
mod others;

use upkeep_exporter::model::Reason;

use super::common::ran::{LONG, Ran, SHORT, check, run};
use super::common::s3::{ACCESS_KEY, SECRET_KEY, Store};

/// Whether the bucket is there, as the run measured it.
fn present(ran: &Ran, bucket: &str) -> Option<f64> {
    ran.value("upkeep_s3_bucket_present", Some(bucket))
}

/// Succeeded, but with this warning.
#[track_caller]
fn warned(ran: &Ran, reason: Reason, text: &str) {
    let warning = ran.succeeded().report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    assert!(warning.message().contains(text), "{warning}");
}

#[tokio::test]
async fn all_buckets_are_listed_where_none_is_named() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&store.keys(""));
    let ran = run!(check, LONG);
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(ran.value("upkeep_s3_bucket_present", None), None);
    assert_eq!(ran.value("upkeep_s3_live", None), Some(1.0));
    assert_eq!(ran.value("upkeep_s3_cluster_healthy", None), Some(1.0));
    assert_eq!(ran.not_after(), None);
}

#[tokio::test]
async fn a_missing_bucket_is_a_warning() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&store.keys("buckets: [raw-iq, spectra, models]"));
    let ran = run!(check, LONG);
    let port = store.port;
    warned(
        &ran,
        Reason::Missing,
        &format!(
            "127.0.0.1:{port}, asking for the buckets: it lacks the buckets spectra, models: make what is missing, or correct buckets"
        ),
    );
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert_eq!(present(&ran, "spectra"), Some(0.0));
    assert_eq!(present(&ran, "models"), Some(0.0));

    store.make_bucket("spectra").await;
    warned(
        &run!(check, LONG),
        Reason::Missing,
        "it lacks the bucket models: ",
    );
    store.make_bucket("models").await;
    let ran = run!(check, LONG);
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(present(&ran, "models"), Some(1.0));
}

#[tokio::test]
async fn a_bucket_may_be_named_in_the_host() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&format!(
        "kind: s3, endpoint: \"http://localhost:{}\", access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY}, \
         preferred_ip_protocol: ip4, path_style: false, buckets: [raw-iq, spectra]",
        store.port
    ));
    let ran = run!(check, LONG);
    warned(&ran, Reason::Missing, "it lacks the bucket spectra: ");
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
}

#[tokio::test]
async fn as_many_buckets_as_are_allowed_are_asked_for_on_one_connection() {
    let store = Store::start().await;
    let names: Vec<String> = (0..100).map(|number| format!("bucket-{number}")).collect();
    for name in &names[..50] {
        store.make_bucket(name).await;
    }
    let mut check = check(&store.keys(&format!("buckets: [{}]", names.join(", "))));
    let ran = run!(check, LONG);
    warned(&ran, Reason::Missing, "bucket-50, bucket-51");
    assert_eq!(store.connections(), 1);
    for (number, name) in names.iter().enumerate() {
        assert_eq!(present(&ran, name), Some(f64::from(u8::from(number < 50))));
    }
}
