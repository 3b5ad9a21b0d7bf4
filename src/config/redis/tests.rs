//! Tests of the options of redis checks and their errors.

use super::server::RedisEndpoint;
use super::*;
use crate::config::secret::{Secret, SecretSource};
use crate::config::tests_support::resolve_json;
use crate::config::tls::TlsSettings;

fn resolve(json: serde_json::Value) -> Result<RedisSettings, Vec<String>> {
    resolve_json(json, |options: RedisOptions, root| {
        options.resolve(&root.field("checks").index(0))
    })
}

fn of_url(url: &str) -> RedisSettings {
    resolve(serde_json::json!({ "url": url })).unwrap_or_else(|errors| panic!("{url}: {errors:?}"))
}

#[test]
fn a_url_suffices() {
    let settings = of_url("redis://cache");
    assert_eq!(settings.target(), "redis://cache:6379/0");
    assert!(settings.metrics && settings.reuse_connection);
    assert_eq!(
        (settings.max_memory_share, settings.server.password),
        (None, None)
    );
    let RedisEndpoint::Host { tls, .. } = settings.server.endpoint else {
        panic!("a host")
    };
    assert_eq!(tls, None);
}

#[test]
fn every_part_of_a_url_is_parsed_and_no_secret_is_shown() {
    let settings = of_url("rediss://me:p%40ss@[::1]:7000/7");
    assert_eq!(settings.target(), "rediss://[::1]:7000/7");
    assert_eq!(settings.server.username.as_deref(), Some("me"));
    assert_eq!(
        settings.server.password,
        Some(SecretSource::Inline(Secret::new("p@ss")))
    );
    assert!(!format!("{settings:?}").contains("p@ss"));
    let RedisEndpoint::Host { tls, .. } = settings.server.endpoint else {
        panic!("a host")
    };
    assert_eq!(tls, Some(TlsSettings::default()));
    assert_eq!(
        of_url("valkey://:secret@cache/").target(),
        "valkey://cache:6379/0"
    );
    assert_eq!(of_url("redis://cache?db=3").target(), "redis://cache:6379/3");
    let options: RedisOptions =
        serde_json::from_value(serde_json::json!({"url": "redis://:hidden@x", "password": "hidden"}))
            .unwrap();
    assert!(!format!("{options:?}").contains("hidden"));
}

#[test]
fn a_unix_socket_is_parsed() {
    let settings = resolve(serde_json::json!({
        "url": "unix:///run/my%20redis.sock?db=4", "username": "me", "password": "secret",
    }))
    .unwrap();
    assert_eq!(settings.target(), "unix:///run/my redis.sock");
    assert_eq!(
        settings.server.endpoint,
        RedisEndpoint::Unix("/run/my redis.sock".into())
    );
    assert_eq!(
        (settings.server.database, settings.server.username.as_deref()),
        (4, Some("me"))
    );
    assert_eq!(
        of_url("redis+socket:///run/redis.sock?virtual_host=2")
            .server
            .database,
        2
    );
}

#[test]
fn every_error_is_reported_at_its_key_without_the_url() {
    let example =
        "write a URL such as redis://cache:6379/0 (rediss:// for TLS) or unix:///run/redis/redis.sock?db=0";
    let at_url = |what: &str| format!("checks[0].url: {what}");
    for (json, message) in [
        (
            serde_json::json!({}),
            "checks[0]: url is missing: write the URL of the server, such as url: redis://cache:6379/0".to_owned(),
        ),
        (
            serde_json::json!({"url": "cache:secret"}),
            at_url(&format!("the scheme of the URL is not redis:// or rediss:// or valkey:// or valkeys://: {example}")),
        ),
        (
            serde_json::json!({"url": "unix://run/redis.sock"}),
            at_url(&format!("a Unix socket needs three slashes after the scheme: {example}")),
        ),
        (
            serde_json::json!({"url": "unix://:secret@/run/redis.sock"}),
            at_url(&format!("not the URL of a Unix socket: {example}")),
        ),
        (
            serde_json::json!({"url": "unix:///"}),
            at_url(&format!("the URL has no path: {example}")),
        ),
        (
            serde_json::json!({"url": "redis://cache/secret"}),
            at_url("the database is not a number: write a number after the host, such as redis://cache:6379/0"),
        ),
        (
            serde_json::json!({"url": "redis://cache/-1"}),
            at_url("the database is not a number: write a number after the host, such as redis://cache:6379/0"),
        ),
        (
            serde_json::json!({"url": "redis://cache/1?db=2"}),
            at_url("the database is given twice: remove one of the numbers"),
        ),
        (
            serde_json::json!({"url": "redis://cache?password=secret"}),
            at_url("the query of the URL is not supported: use db only, and keys of the check"),
        ),
        (
            serde_json::json!({"url": "redis://secret@cache"}),
            at_url(
                "the password of the user is missing: add password_file or password_env (if the user in the URL is \
                 meant as the password, write redis://:password@host)",
            ),
        ),
        (
            serde_json::json!({"url": "redis://:secret@cache", "password_env": "HOME"}),
            at_url("the password is given twice: remove it from the URL"),
        ),
        (
            serde_json::json!({"url": "redis://me:secret@cache", "username": "me"}),
            at_url("the user is given twice: remove it from the URL"),
        ),
        (
            serde_json::json!({"url": "redis://cache", "password": "a", "password_env": "HOME"}),
            "checks[0]: give one of password, password_file and password_env, not several".to_owned(),
        ),
        (
            serde_json::json!({"url": "redis://cache", "password_file": "/dev/null"}),
            "checks[0].password_file: reading the secret file /dev/null: not a regular file"
                .to_owned(),
        ),
        (
            serde_json::json!({"url": "redis://cache", "tls_config": {}}),
            "checks[0].tls_config: tls_config needs TLS: write rediss:// (or valkeys://) in url".to_owned(),
        ),
        (
            serde_json::json!({"url": "redis://cache", "max_memory_share": 90}),
            "checks[0].max_memory_share: 90 is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %"
                .to_owned(),
        ),
        (
            serde_json::json!({"url": "redis://cache", "max_memory_share": 0.9, "metrics": false}),
            "checks[0].max_memory_share: max_memory_share needs statistics: remove this key, or metrics: false".to_owned(),
        ),
    ] {
        assert_eq!(resolve(json.clone()), Err(vec![message]), "{json}");
    }
}

#[test]
fn several_errors_are_reported_at_once() {
    let errors = resolve(serde_json::json!({
        "url": "http://me:secret@cache", "max_memory_share": 0, "password_env": "UPKEEP_NOT_SET",
        "tls_config": {"cert": "x"},
    }));
    let errors = errors.unwrap_err();
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(!errors.join("").contains("secret"));
}
