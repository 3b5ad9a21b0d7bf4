//! Tests of the options of celery checks and their errors.

use serde_json::json;

use super::*;
use crate::config::secret::{Secret, SecretSource};
use crate::config::tests_support::resolve_json;

fn resolve(json: serde_json::Value) -> Result<CelerySettings, Vec<String>> {
    resolve_json(json, CeleryOptions::resolve)
}

fn keys(settings: CelerySettings) -> RedisKeys {
    match settings.broker {
        Broker::Redis { keys, .. } => keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_url_suffices() {
    let settings = resolve(json!({"broker_url": "redis://cache"})).unwrap();
    assert_eq!(settings.target(), "redis://cache:6379/0");
    assert_eq!((settings.min_workers, settings.expected_workers), (1, None));
    assert_eq!(settings.reply_timeout, Duration::from_secs(1));
    assert_eq!(settings.control_exchange, "celery");
    assert!(settings.reuse_connection && settings.queues.is_empty());
    let keys = keys(settings);
    assert_eq!((keys.fanout.as_str(), keys.global.as_str()), ("/0.", ""));
    assert_eq!(
        (keys.sep.as_str(), keys.priority_steps),
        ("\x06\x16", vec![0, 3, 6, 9])
    );
}

#[test]
fn urls_have_the_same_meaning_as_in_celery() {
    for (url, target) in [
        ("redis://:secret@cache:1/", "redis://cache:1/0"),
        (
            "redis+socket:///run/redis.sock?virtual_host=3",
            "redis+socket:///run/redis.sock",
        ),
        (
            "rediss://me:secret@cache/3?ssl_cert_reqs=required",
            "rediss://cache:6379/3",
        ),
        ("amqp://guest:secret@mq", "amqp://mq:5672"),
        ("amqp://mq/", "amqp://mq:5672"),
        ("amqp://mq//", "amqp://mq:5672"),
        ("amqp://mq/%2f", "amqp://mq:5672"),
        ("amqps://mq/work", "amqps://mq:5671/work"),
    ] {
        let settings = resolve(json!({"broker_url": url})).unwrap();
        assert_eq!(settings.target(), target);
        assert!(!format!("{settings:?}").contains("secret@"), "{settings:?}");
    }
    let settings = resolve(json!({"broker_url": "amqp://me:s%2fe@mq"})).unwrap();
    let Broker::Amqp(server) = settings.broker else {
        panic!("{settings:?}");
    };
    assert_eq!((server.user.as_str(), server.virtual_host.as_str()), ("me", "/"));
    assert_eq!(server.password, SecretSource::Inline(Secret::new("s/e")));
}

#[test]
fn transport_options_name_keys_and_channels() {
    let with = |fanout_prefix: serde_json::Value| {
        let json = json!({"broker_url": "redis://cache/7", "fanout_prefix": fanout_prefix,
            "global_keyprefix": "shop:", "priority_steps": [5, 0, 5], "sep": ":"});
        keys(resolve(json).unwrap())
    };
    assert_eq!(with(json!(true)).fanout, "/7.");
    assert_eq!(with(json!(false)).fanout, "");
    let keys = with(json!("/a{db}."));
    assert_eq!(keys.fanout, "/a7.");
    assert_eq!((keys.global.as_str(), keys.sep.as_str()), ("shop:", ":"));
    assert_eq!(keys.priority_steps, [0, 5]);
}

#[test]
fn queues_are_names_or_mappings() {
    let queues = json!(["celery", {"name": "slow", "max_messages": 10}]);
    let settings = resolve(json!({"broker_url": "redis://cache", "queues": queues})).unwrap();
    let queue = |name: &str, max_messages| QueueSettings {
        name: name.to_owned(),
        max_messages,
    };
    assert_eq!(settings.queues, [queue("celery", None), queue("slow", Some(10))]);
    let wrong = serde_json::from_value::<CeleryOptions>(json!({"queues": [1]})).unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("expected the name of a queue, or a mapping"),
        "{wrong}"
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(json!({
        "broker_url": "redis://:secret@cache/one", "password": "other", "tls_config": {},
        "min_workers": 3, "expected_workers": 2, "reply_timeout": "0", "control_exchange": "",
        "priority_steps": [10], "sep": "", "queues": ["a", "a", {"max_messages": 1}, "b\n"],
    }));
    assert_eq!(
        errors.unwrap_err(),
        [
            "queues[1]: duplicate queue a: remove it",
            "queues[2]: the name of the queue has 0 bytes: write 1 to 255, such as name: celery",
            "queues[3]: the name of the queue contains control characters: remove them",
            "expected_workers: 2 is less than min_workers (3): write at least 3",
            "reply_timeout: 0s is out of range: write 10ms to 1m",
            "control_exchange: not a name of a control exchange: write one line of 1 to 128 bytes, such as celery",
            "sep: empty: remove this key to use Celery's default",
            "priority_steps: not a list of priorities from 0 to 9: write a list such as [0, 3, 6, 9]",
            "broker_url: the database is not a number: write a number after the host, such as redis://cache:6379/0",
            "tls_config: tls_config needs TLS: write rediss:// (or valkeys://) in broker_url",
        ]
    );
}

#[test]
fn options_of_the_other_broker_are_rejected() {
    let errors = resolve(
        json!({"broker_url": "amqp://mq", "fanout_prefix": true, "sep": ":",
        "min_workers": 0, "expected_workers": 1001}),
    );
    assert_eq!(
        errors.unwrap_err(),
        [
            "min_workers: 0 is out of range: write at least 1",
            "expected_workers: 1001 is out of range: write at most 1000",
            "fanout_prefix: fanout_prefix is supported for Redis only: remove this key",
            "sep: sep is supported for Redis only: remove this key",
        ]
    );
    let example = "write a URL such as redis://cache:6379/1, rediss://cache:6379/1, amqp://mq:5672/ or amqps://mq:5671/";
    for (keys, error) in [
        (json!({}), format!(": broker_url is missing: {example}")),
        (
            json!({"broker_url": "sqs://a:secret@b"}),
            format!("broker_url: not the URL of a supported broker: {example}"),
        ),
        (
            json!({"broker_url": "amqp://a:secret@b", "password": "other"}),
            "broker_url: the password is given twice: remove it from the URL".to_owned(),
        ),
        (
            json!({"broker_url": "amqp://b", "tls_config": {}}),
            "tls_config: tls_config needs TLS: write amqps:// in broker_url".to_owned(),
        ),
        (
            json!({"broker_url": "amqp://b/?heartbeat=secret"}),
            "broker_url: the query of the URL is not supported: remove it, and use keys of the check"
                .to_owned(),
        ),
        (
            json!({"broker_url": "rediss://b?ssl_cert_reqs=none"}),
            "broker_url: the query of the URL is not supported: use db only, and keys of the check"
                .to_owned(),
        ),
    ] {
        assert_eq!(resolve(keys).unwrap_err(), [error]);
    }
}
