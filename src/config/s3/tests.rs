//! Tests of the options of s3 checks and their errors.

use serde_json::{Value, json};

use super::*;
use crate::config::secret::Secret;
use crate::config::tests_support::resolve_json;

fn resolve(json: Value) -> Result<S3Settings, Vec<String>> {
    resolve_json(json, |options: S3Options, root| {
        options.resolve(&root.field("check"))
    })
}

/// Valid options with these changes.
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
    assert!(settings.path_style && settings.reuse_connection && settings.buckets.is_empty());
    assert_eq!(settings.health, Health::Auto);
}

#[test]
fn the_scheme_decides_the_default_port_and_tls() {
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
fn errors_are_reported_at_their_keys() {
    let no_name = "not the name of a bucket: write 3 to 63 characters of a-z, 0-9, - and ., with a letter or digit at both ends";
    let many: Vec<String> = (0..101).map(|number| format!("bucket-{number}")).collect();
    let example = "write a URL such as http://minio.example.org:9000";
    for (options, expected) in [
        (
            json!({"endpoint": "minio:9000"}),
            format!("check.endpoint: the scheme of the URL is not http:// or https://: {example}"),
        ),
        (
            json!({"endpoint": "http://me:geheim@minio"}),
            "check.endpoint: the URL contains credentials: use access_key_file and secret_key_file"
                .to_owned(),
        ),
        (
            json!({"endpoint": "http://minio/raw-iq"}),
            format!("check.endpoint: the URL has a path or a query: {example}, and buckets in buckets"),
        ),
        (
            json!({"region": "eu west"}),
            "check.region: not a region: write at most 64 letters, digits, - and _, such as us-east-1"
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
            "check.buckets[1]: duplicate bucket raw: remove it".to_owned(),
        ),
        (
            json!({"buckets": many}),
            "check.buckets: 101 buckets, but a check can have at most 100: add another check for the rest"
                .to_owned(),
        ),
        (
            json!({"tls_config": {}}),
            "check.tls_config: tls_config needs TLS: write https:// in endpoint".to_owned(),
        ),
        (
            json!({"endpoint": "http://127.0.0.1", "path_style": false}),
            "check.path_style: false needs a domain name in endpoint: remove path_style".to_owned(),
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
fn all_missing_keys_are_reported_at_once() {
    assert_eq!(
        resolve(json!({})).unwrap_err(),
        [
            "check: endpoint is missing: write the URL of the store, such as endpoint: http://minio.example.org:9000",
            "check: access_key is missing: add access_key_file, access_key_env or access_key",
            "check: secret_key is missing: add secret_key_file, secret_key_env or secret_key",
        ]
    );
    assert!(serde_json::from_value::<S3Options>(json!({"bucket": "x"})).is_err());
    assert!(serde_json::from_value::<S3Options>(json!({"health": "ceph"})).is_err());
}

#[test]
fn debug_output_has_no_keys() {
    let options = with(json!({"session_token": "token-geheim"}));
    let written: S3Options = serde_json::from_value(options.clone()).unwrap();
    let settings = resolve(options).unwrap();
    let shown = format!("{written:?} {settings:?} {}", settings.target());
    assert!(
        !shown.contains("geheim") && !shown.contains("\"secret\""),
        "{shown}"
    );
}
