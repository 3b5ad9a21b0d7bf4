//! s3 checks against a store that verifies signatures; with `make conformance`, against the real `MinIO`. In both cases, tests
//! of what one `MinIO` on one machine does not do use a store in this process (`Store::in_process`), and tests of what no
//! store does use scripted servers.

mod answers;
mod connections;
mod health;
mod keys;
mod others;

use upkeep_exporter::model::Reason;

use super::common::ran::{LONG, Ran, SHORT, check, run};
use super::common::s3::{ACCESS_KEY, SECRET_KEY, Store};

/// The series that says whether the bucket exists.
fn present(ran: &Ran, bucket: &str) -> Option<f64> {
    ran.value("upkeep_s3_bucket_present", Some(bucket))
}

/// Asserts that the run succeeded with a warning of this reason that contains the text.
#[track_caller]
fn warned(ran: &Ran, reason: Reason, text: &str) {
    let warning = ran.succeeded().report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    assert!(warning.message().contains(text), "{warning}");
}

#[tokio::test]
async fn all_buckets_are_listed_if_none_is_configured() {
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
            "127.0.0.1:{port}, requesting the buckets: the store does not have the buckets spectra, models: create what is missing, or correct buckets"
        ),
    );
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert_eq!(present(&ran, "spectra"), Some(0.0));
    assert_eq!(present(&ran, "models"), Some(0.0));

    store.make_bucket("spectra").await;
    warned(
        &run!(check, LONG),
        Reason::Missing,
        "the store does not have the bucket models: ",
    );
    store.make_bucket("models").await;
    let ran = run!(check, LONG);
    assert_eq!(ran.succeeded().report.warning, None);
    assert_eq!(present(&ran, "models"), Some(1.0));
}

#[tokio::test]
async fn a_bucket_can_be_in_the_host_name() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let mut check = check(&format!(
        "kind: s3, endpoint: \"http://localhost:{}\", access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY}, \
         preferred_ip_protocol: ip4, path_style: false, buckets: [raw-iq, spectra]",
        store.port
    ));
    let ran = run!(check, LONG);
    warned(
        &ran,
        Reason::Missing,
        "the store does not have the bucket spectra: ",
    );
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
}

#[tokio::test]
async fn the_maximum_number_of_buckets_uses_one_connection() {
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
