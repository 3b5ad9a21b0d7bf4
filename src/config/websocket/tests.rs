//! Tests of the options of websocket checks.

use serde_json::{Value, json};

use super::*;
use crate::config::dialogue::Expect;
use crate::config::tests_support::resolve_json;

fn resolve(json: Value) -> Result<WebsocketSettings, Vec<String>> {
    resolve_json(json, WebsocketOptions::resolve)
}

#[test]
fn a_url_suffices_and_a_target_replaces_it() {
    let settings = resolve(json!({"url": "ws://a/b"})).unwrap();
    assert_eq!(settings.target(), "ws://a/b");
    assert!(settings.steps.is_empty() && !settings.sends_credentials());
    assert_eq!(settings.with_target("wss://c").unwrap().target(), "wss://c/");
    assert!(settings.with_target("http://c").is_err());
}

#[test]
fn headers_credentials_and_steps_are_resolved() {
    let settings = resolve(json!({
        "url": "wss://a/",
        "headers": {"Origin": "https://a", "Sec-WebSocket-Protocol": {"values": ["chat, mqtt"]}},
        "http_config": {"basic_auth": {"username": "me", "password": "x"}, "tls_config": {"insecure_skip_verify": true}},
        "query_response": [{"expect": "^hello (.*)$", "send": "${1}"}, {"send": "bye"}],
    }))
    .unwrap();
    let names: Vec<&str> = settings.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["origin", "sec-websocket-protocol"]);
    assert!(settings.sends_credentials() && settings.tls.insecure_skip_verify);
    assert!(matches!(settings.steps[0].expect, Some(Expect::Line(_))));
    assert_eq!(settings.steps[1].send.as_ref().unwrap().expose(), b"bye");
}

#[test]
fn the_host_name_is_for_the_header_and_for_tls() {
    let mut settings = resolve(json!({"url": "wss://a/"})).unwrap();
    settings.set_hostname("b.example:444").unwrap();
    assert_eq!(settings.host().unwrap(), "b.example:444");
    assert_eq!(settings.tls.server_name.as_ref().unwrap().to_str(), "b.example");
    let mut settings = resolve(json!({"url": "ws://a/", "headers": {"Host": {"values": ["c"]}}})).unwrap();
    assert!(settings.set_hostname("b").unwrap_err().contains("differ"));
    settings.set_hostname("c").unwrap();
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(json!({
        "headers": {"Sec-WebSocket-Key": {"values": ["x"]}, "Upgrade": {"values": ["h2c"]}},
        "http_config": {
            "proxy_url": "http://p:1", "bearer_token": "x", "basic_auth": {"username": "me"},
        },
        "query_response": [{"expect": "("}, {"expect_bytes": "x", "labels": [], "starttls": true, "send": "y"}],
    }))
    .unwrap_err();
    assert_eq!(
        errors,
        [
            ": url is missing: write the URL to connect to, such as url: ws://127.0.0.1:8000/events",
            "headers.Sec-WebSocket-Key: the check itself sets Sec-WebSocket-Key: remove this header",
            "headers.Upgrade: the check itself sets upgrade: remove this header",
            "http_config.proxy_url: ignored by websocket checks: remove this key",
            "http_config: more than one way of authentication: keep one of basic_auth, authorization and bearer_token",
            "query_response[1].expect_bytes: ignored: steps over a WebSocket have only expect and send",
            "query_response[1].labels: ignored: steps over a WebSocket have only expect and send",
            "query_response[1].starttls: ignored: steps over a WebSocket have only expect and send",
            "query_response[0].expect: \"(\" is not a regular expression: unclosed group",
        ]
    );
}

#[test]
fn a_header_replaces_the_credentials() {
    let written = json!({
        "url": "ws://a/", "headers": {"authorization": {"secrets": ["Token x"]}},
        "http_config": {"bearer_token": "y"},
    });
    let settings = resolve(written).unwrap();
    assert_eq!(settings.credentials, None);
    assert!(settings.sends_credentials());
}
