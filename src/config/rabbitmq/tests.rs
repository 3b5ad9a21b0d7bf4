//! Tests of the options of rabbitmq checks and their errors.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::config::http::Credentials;
use crate::config::secret::{Secret, SecretSource};
use crate::config::tests_support::resolve_json;

fn resolve(json: serde_json::Value) -> Result<RabbitmqSettings, Vec<String>> {
    resolve_json(json, |options: RabbitmqOptions, root| {
        options.resolve(&root.field("checks").index(0))
    })
}

fn inline(text: &str) -> SecretSource {
    SecretSource::Inline(Secret::new(text))
}

#[test]
fn a_url_suffices() {
    let settings = resolve(json!({"url": "amqp://mq"})).unwrap();
    assert_eq!(settings.target(), "amqp://mq:5672/%2F");
    assert_eq!(settings.vhost, "/");
    assert!(settings.reuse_connection);
    let login = BrokerLogin::Plain {
        user: "guest".to_owned(),
        password: inline("guest"),
    };
    assert_eq!(settings.login, login);
    assert_eq!(
        (settings.tls, settings.management, settings.queues),
        (None, None, vec![])
    );
}

#[test]
fn the_url_has_the_same_meaning_as_for_clients() {
    for (url, vhost, target) in [
        ("amqp://mq/", "/", "amqp://mq:5672/%2F"),
        ("amqp://mq/%2f", "/", "amqp://mq:5672/%2F"),
        ("amqp://mq:99/prod", "prod", "amqp://mq:99/prod"),
        ("amqp://mq/a%2fb%20c", "a/b c", "amqp://mq:5672/a%2Fb%20c"),
        ("amqps://[::1]/", "/", "amqps://[::1]:5671/%2F"),
    ] {
        let settings = resolve(json!({"url": url})).unwrap();
        assert_eq!(
            (settings.vhost.as_str(), settings.target().as_str()),
            (vhost, target)
        );
    }
    let settings = resolve(json!({"url": "amqp://a%40b:h%2fush@mq"})).unwrap();
    let login = BrokerLogin::Plain {
        user: "a@b".to_owned(),
        password: inline("h/ush"),
    };
    assert_eq!(settings.login, login);
    let shown = format!("{settings:?} {}", settings.target());
    assert!(!shown.contains("ush"), "{shown}");
}

#[test]
fn the_management_api_uses_the_user_of_the_broker_or_its_own() {
    let settings = resolve(json!({
        "url": "amqp://app:secret@mq",
        "management_url": "https://mq:15671/rabbit/",
        "management_timeout": "500ms",
    }));
    let api = settings.unwrap().management.unwrap();
    assert_eq!(
        (api.address.to_string().as_str(), api.prefix.as_str(), api.timeout),
        ("mq:15671", "/rabbit", Duration::from_millis(500))
    );
    assert!(api.tls.is_some());
    let basic = |username, password| Credentials::Basic {
        username: inline(username),
        password: Some(inline(password)),
    };
    assert_eq!(api.credentials, basic("app", "secret"));
    let settings = resolve(json!({
        "url": "amqp://app:secret@mq",
        "management_url": "http://mq",
        "management_username": "monitor",
        "management_password": "other",
    }));
    let api = settings.unwrap().management.unwrap();
    assert_eq!(api.credentials, basic("monitor", "other"));
    assert_eq!((api.address.port, api.timeout), (80, management::DEFAULT_TIMEOUT));
}

#[test]
fn queues_have_limits() {
    let queues = json!([{"name": "jobs", "max_messages": 1000, "min_consumers": 1}, {"name": "mail"}]);
    let settings = resolve(json!({"url": "amqp://mq", "queues": queues})).unwrap();
    let limits = |queue: &QueueSettings| (queue.name.clone(), queue.max_messages, queue.min_consumers);
    let limits: Vec<_> = settings.queues.iter().map(limits).collect();
    assert_eq!(
        limits,
        [
            ("jobs".to_owned(), Some(1000), Some(1)),
            ("mail".to_owned(), None, None)
        ]
    );
}

#[test]
fn each_error_has_its_message() {
    const EXAMPLE: &str = "write a URL such as amqp://app@mq.example.org:5672/%2f";
    let long = "q".repeat(256);
    for (json, expected) in [
        (json!({}), format!("checks[0]: url is missing: {EXAMPLE}")),
        (
            json!({"url": "http://mq"}),
            format!("checks[0].url: the scheme of the URL is not amqp:// or amqps://: {EXAMPLE}"),
        ),
        (
            json!({"url": "amqp://mq?heartbeat=10"}),
            "checks[0].url: the query of the URL is not supported: remove it".to_owned(),
        ),
        (
            json!({"url": "amqp://mq?cacertfile=x"}),
            "checks[0].url: the query of the URL is not supported: use the keys auth_mechanism and tls_config"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://app@mq"}),
            "checks[0]: the password of the user in the URL is missing: add password_file, password_env or password"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://app:a@mq", "password": "b"}),
            "checks[0].url: the password is given twice: remove it from the URL".to_owned(),
        ),
        (
            json!({"url": format!("amqp://mq/{long}")}),
            "checks[0].url: the virtual host is not valid: write at most 255 bytes without control characters".to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "tls_config": {}}),
            "checks[0].tls_config: tls_config needs TLS: write amqps:// in url, or https:// in management_url"
                .to_owned(),
        ),
        (
            json!({"url": "amqps://mq", "auth_mechanism": "external"}),
            "checks[0].auth_mechanism: external needs a client certificate: write amqps:// in url, and the certificate \
             in tls_config"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "management_username": "m"}),
            "checks[0]: management_url is missing: write a URL such as http://mq.example.org:15672, or remove the other \
             management_ keys"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "management_url": "http://me:secret@mq"}),
            "checks[0].management_url: the URL contains credentials: use management_username and management_password_file"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "management_url": "http://mq?a=b"}),
            "checks[0].management_url: the query of the URL is not supported: remove it".to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "management_url": "http://mq", "management_username": "m"}),
            "checks[0].management_username: the password is missing: add management_password_file, \
             management_password_env or management_password"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "management_url": "http://mq", "management_timeout": "0s"}),
            "checks[0].management_timeout: 0s is out of range: write a longer duration, such as 3s".to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "queues": [{}]}),
            "checks[0].queues[0]: name is missing: write the name of a queue, such as name: jobs".to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "queues": [{"name": long}]}),
            "checks[0].queues[0].name: not the name of a queue: write 1 to 255 bytes without control characters"
                .to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "queues": [{"name": "a"}, {"name": "a"}]}),
            "checks[0].queues[1].name: duplicate queue a: remove it".to_owned(),
        ),
        (
            json!({"url": "amqp://mq", "queues": vec![json!({"name": "a"}); 101]}),
            "checks[0].queues: 101 queues, but a check can have at most 100: remove some".to_owned(),
        ),
    ] {
        assert_eq!(resolve(json.clone()), Err(vec![expected]), "{json}");
    }
}

#[test]
fn a_queue_name_is_encoded_as_one_segment() {
    assert_eq!(encode_segment("a/b?c=ü"), "a%2Fb%3Fc%3D%C3%BC");
}
