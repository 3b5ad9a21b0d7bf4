//! Stores other than Amazon's and `MinIO`.

use super::*;
use crate::common::s3::other::{OtherStore, Product};

async fn serves(product: Product) {
    let store = OtherStore::start(product, "raw-iq").await;
    let mut all = check(&store.keys(SECRET_KEY, ""));
    let ran = run!(all, LONG);
    assert_eq!(ran.succeeded().report.warning, None, "{product:?}");

    let mut named = check(&store.keys(SECRET_KEY, "buckets: [raw-iq]"));
    let ran = run!(named, LONG);
    assert_eq!(ran.succeeded().report.warning, None, "{product:?}");
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));

    let mut missing = check(&store.keys(SECRET_KEY, "buckets: [raw-iq, spectra]"));
    let ran = run!(missing, LONG);
    warned(
        &ran,
        Reason::Missing,
        "the store does not have the bucket spectra: ",
    );
    assert_eq!(present(&ran, "spectra"), Some(0.0));

    let mut wrong = check(&store.keys("not-the-secret-key", "buckets: [raw-iq]"));
    run!(wrong, LONG).failed(Reason::Auth, "");
}

#[tokio::test]
async fn seaweedfs_is_an_object_store() {
    serves(Product::SeaweedFs).await;
}

#[tokio::test]
async fn rclone_is_an_object_store() {
    serves(Product::Rclone).await;
}
