//! Tests of the s3 check's configuration.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;
use crate::config::secret::Secret;

fn resolve(json: Value) -> Result<S3Settings, Vec<String>> {
    let findings = RefCell::default();
    let options: S3Options = serde_json::from_value(json).unwrap();
    options
        .resolve(&Place::root(&findings).field("check"))
        .map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|finding| format!("{}: {}", finding.path, finding.message))
                .collect()
        })
}

/// Options with keys, and these.
fn with(more: Value) -> Value {
    let mut options = json!({"endpoint": "http://minio:9000", "access_key": "me", "secret_key": "secret"});
    options
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    options
}

#[test]
fn an_endpoint_and_keys_suffice() {
    let settings = resolve(with(json!({}))).unwrap();
    assert_eq!(settings.target(), "http://minio:9000");
    assert_eq!(settings.endpoint.as_str(), "http://minio:9000/");
    assert_eq!(settings.region, "us-east-1");
    assert_eq!(settings.secret_key, SecretSource::Inline(Secret::new("secret")));
    assert_eq!((settings.tls, settings.session_token), (None, None));
    assert!(settings.path_style && settings.is_reusing && settings.buckets.is_empty());
    assert_eq!(settings.health, Health::Auto);
}

#[test]
fn a_scheme_has_its_port_and_https_has_tls() {
    for (written, target, is_tls) in [
        ("https://s3.example.org", "https://s3.example.org:443", true),
        ("http://minio/", "http://minio:80", false),
        ("https://[::1]:9000", "https://[::1]:9000", true),
    ] {
        let settings = resolve(with(json!({"endpoint": written}))).unwrap();
        assert_eq!(
            (settings.target().as_str(), settings.tls.is_some()),
            (target, is_tls)
        );
    }
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let no_name = "is no name of a bucket: it has 3 to 63 of a-z, 0-9, - and ., and begins and ends with a letter or digit";
    let many: Vec<String> = (0..101).map(|number| format!("bucket-{number}")).collect();
    let example = "write one such as http://minio.example.org:9000";
    for (options, expected) in [
        (
            json!({"endpoint": "minio:9000"}),
            format!("check.endpoint: the scheme of this URL is not http:// or https://: {example}"),
        ),
        (
            json!({"endpoint": "http://me:geheim@minio"}),
            "check.endpoint: keys don't belong into the URL: write access_key_file and secret_key_file"
                .to_owned(),
        ),
        (
            json!({"endpoint": "http://minio/raw-iq"}),
            format!("check.endpoint: a store has no path or query: {example}, and buckets under buckets"),
        ),
        (
            json!({"region": "eu west"}),
            "check.region: is no region: write at most 64 letters, digits, - and _, such as us-east-1"
                .to_owned(),
        ),
        (
            json!({"buckets": ["Raw"]}),
            format!("check.buckets[0]: {no_name}"),
        ),
        (
            json!({"buckets": ["raw", "a..b"]}),
            format!("check.buckets[1]: {no_name}"),
        ),
        (json!({"buckets": ["a-"]}), format!("check.buckets[0]: {no_name}")),
        (json!({"buckets": [".."]}), format!("check.buckets[0]: {no_name}")),
        (
            json!({"buckets": ["raw", "raw"]}),
            "check.buckets[1]: raw is there twice: remove one".to_owned(),
        ),
        (
            json!({"buckets": many}),
            "check.buckets: there are 101 buckets: write at most 100, and the others in a check of their own"
                .to_owned(),
        ),
        (
            json!({"tls_config": {}}),
            "check.tls_config: tls_config needs an endpoint that begins with https://".to_owned(),
        ),
        (
            json!({"endpoint": "http://127.0.0.1", "path_style": false}),
            "check.path_style: a bucket can't be named in front of an IP address: leave path_style out"
                .to_owned(),
        ),
        (
            json!({"secret_key_file": "/run/secrets/s3"}),
            "check: give one of secret_key, secret_key_file and secret_key_env, not several".to_owned(),
        ),
    ] {
        assert_eq!(resolve(with(options)), Err(vec![expected]));
    }
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    assert_eq!(
        resolve(json!({})).unwrap_err(),
        [
            "check: endpoint is missing: write where the store is, such as endpoint: http://minio.example.org:9000",
            "check: access_key is missing: requests are signed, so write access_key_file, access_key_env or access_key",
            "check: secret_key is missing: requests are signed, so write secret_key_file, secret_key_env or secret_key",
        ]
    );
    assert!(serde_json::from_value::<S3Options>(json!({"bucket": "x"})).is_err());
    assert!(serde_json::from_value::<S3Options>(json!({"health": "ceph"})).is_err());
}

#[test]
fn nothing_shows_a_key() {
    let options = with(json!({"session_token": "token-geheim"}));
    let written: S3Options = serde_json::from_value(options.clone()).unwrap();
    let settings = resolve(options).unwrap();
    let shown = format!("{written:?} {settings:?} {}", settings.target());
    assert!(
        !shown.contains("geheim") && !shown.contains("\"secret\""),
        "{shown}"
    );
}
