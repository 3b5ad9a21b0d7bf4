//! Tests of redacted configurations.

#[path = "../../../tests/common/schema_keys.rs"]
mod schema_keys;

use super::*;
use schema_keys::schema_keys;

#[test]
fn secrets_are_hidden_and_other_values_are_shown() {
    let module = "prober: http\nhttp:\n  method: POST\n  headers: { X-Key: hunter2, Host: hunter2 }\n  body: 'hunter2'\n  \
                  proxy_url: 'http://me:hunter2@proxy:1/'\n  basic_auth: { username: me, password: hunter2, password_file: /p }\n  \
                  bearer_token: hunter2\n  valid_status_codes: [200, 204]\n  authorization: { credentials: hunter2 }\n\
                  tcp:\n  query_response: [{ send: hunter2, expect: \"^a: b\" }]\n";
    let shown = redacted(module);
    assert!(!shown.contains("hunter2"), "{shown}");
    for part in [
        "method: POST",
        "username: me",
        "password_file: /p",
        "- 204",
        "expect: \"^a: b\"",
        "http://proxy:1/",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

fn redacted(module: &str) -> String {
    let (node, _) = crate::config::yaml::parse(module);
    to_yaml(&node.unwrap())
}

#[test]
fn oauth2_shows_what_is_not_secret() {
    let shown = redacted(
        "oauth2: { client_id: me, client_secret_file: /s, scopes: [read, 'write'], token_url: 'https://me:hunter2@login/token?k=hunter2', \
         grant_type: client_credentials, client_secret: hunter2, endpoint_params: { scopes: hunter2 } }\n",
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    for part in [
        "client_id: me",
        "client_secret_file: /s",
        "- read",
        "- \"write\"",
        "https://login/token",
        "grant_type: client_credentials",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn secret_keys_hide_their_values() {
    for key in [
        "bearer_token",
        "body",
        "authorization: { credentials",
        "authorization: { type: [{ token_url",
        "basic_auth: { password",
        "basic_auth: { username: { username",
        "oauth2: { client_secret",
        "oauth2: { scopes: [{ username",
        "oauth2: { endpoint_params: { username",
        "oauth2: { tls_config: { key",
        "tls_config: { key",
        "tls_config: { cert",
        "metadata: { username",
        "query_response: [{ starttls: true, send",
    ] {
        let ends: String = key
            .chars()
            .rev()
            .filter_map(|c| match c {
                '{' => Some('}'),
                '[' => Some(']'),
                _ => None,
            })
            .collect();
        for value in [
            "hunter2",
            "'hunter2'",
            "[hunter2, 'hunter2']",
            "{ username: hunter2 }",
        ] {
            let module = format!("a: {{ {key}: {value} {ends} }}\n");
            let shown = redacted(&module);
            assert!(
                shown.contains(HIDDEN) && !shown.contains("hunter2"),
                "{module}{shown}"
            );
        }
    }
}

#[test]
fn headers_of_any_name_hide_their_values() {
    for name in [
        "X-Api-Key",
        "username",
        "type",
        "client_id",
        "token_url",
        "x_file",
        "x_env",
        "headers",
        "values",
    ] {
        for headers in [
            format!("headers: {{ {name}: hunter2 }}"),
            format!("headers: {{ {name}: 'hunter2' }}"),
            format!("http_headers: {{ {name}: {{ values: [hunter2] }} }}"),
            format!("http_headers: {{ {name}: {{ secrets: [hunter2], values: ['hunter2'], files: [] }} }}"),
            format!("http_headers: {{ {name}: {{ username: hunter2, x_file: [hunter2] }} }}"),
            format!("proxy_connect_header: {{ {name}: [hunter2, hunter2] }}"),
            format!("metadata: {{ {name}: [hunter2] }}"),
        ] {
            let shown = redacted(&format!("prober: http\nhttp: {{ {headers}, method: PUT }}\n"));
            assert!(!shown.contains("hunter2"), "{headers}: {shown}");
            assert!(
                shown.contains(name) && shown.contains("method: PUT"),
                "{headers}: {shown}"
            );
        }
    }
}

#[test]
fn urls_show_no_user_info_and_no_query() {
    for (url, shown) in [
        ("http://me:hunter2@proxy:1/", "http://proxy:1/"),
        ("http://proxy:1/?token=hunter2", "http://proxy:1/"),
        ("me:hunter2@proxy:1", "\"<secret>@proxy:1\""),
        ("http://proxy:1", "http://proxy:1"),
    ] {
        assert_eq!(
            redacted(&format!("proxy_url: {url}\n")).trim(),
            format!("proxy_url: {shown}")
        );
    }
}

#[test]
fn texts_with_several_users_are_hidden() {
    for url in [
        "amqp://a:hunter2@one;amqp://b:hunter2@two",
        "redis://one:1,two:2?password=hunter2",
        "http://[broken/?token=hunter2",
        "http://host/#token=hunter2",
        "^https?://me:hunter2@",
    ] {
        let shown = redacted(&format!("url: '{url}'\n"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let shown = redacted("fail_if_body_matches_regexp: ['https?://a#b']\n");
    assert!(shown.contains("https?://a#b"), "{shown}");
}

#[test]
fn only_values_of_open_keys_are_shown() {
    let schema = crate::config::schema::document();
    let found = schema_keys(&schema, &schema);
    let hides = |key: &&String| !redacted(&format!("{key}: hunter2\n")).contains("hunter2");
    let hidden: Vec<&str> = found.iter().filter(hides).map(String::as_str).collect();
    // If you add a key that can't contain a secret, add it to the open keys. Otherwise add it here.
    assert_eq!(
        hidden,
        [
            "access_key",
            "api_key",
            "authorization",
            "basic_auth",
            "bearer_token",
            "body",
            "cert",
            "client_secret",
            // Arguments may contain a token.
            "command",
            "credentials",
            "endpoint_params",
            "headers",
            "http_headers",
            // In services, it is a name.
            "key",
            "management_password",
            "metadata",
            // These contain mappings with names.
            "model_dates",
            "modules",
            "oauth2",
            "password",
            "proxy_connect_header",
            "query",
            "secret_key",
            "secrets",
            "send",
            "session_token",
            "token",
        ]
    );
    assert!(OPEN_KEYS.is_sorted(), "the search needs an order");
    for key in OPEN_KEYS {
        assert!(found.contains(key), "{key} is not a key any more");
    }
    let unknown = redacted("unknown: { url: hunter2, name: [hunter2] }\n");
    assert!(!unknown.contains("hunter2"), "{unknown}");
}

#[test]
fn a_document_stays_yaml_and_shows_what_is_not_secret() {
    let document = "defaults: { interval: 5s }\nmodules:\n  password: { prober: icmp, timeout: 5s }\nservices:\n  - key: web\n    \
                    checks:\n      - { kind: http, url: 'http://me:hunter2@web/', tls_config: { key: hunter2, key_file: /k } }\n      \
                    - { kind: provider, model_dates: { gpt: 2026-01-01 }, api_key: hunter2 }\n";
    let shown = redacted(document);
    assert!(!shown.contains("hunter2"), "{shown}");
    for part in [
        "interval: 5s",
        "prober: icmp",
        "key: web",
        "http://web/",
        "key_file: /k",
        "gpt: 2026-01-01",
        "api_key: <secret>",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(redacted(&shown), shown);
    let names = redacted("modules: { '---': { timeout: 1s }, 'a: b': { timeout: 2s }, '@c': {} }\n");
    assert_eq!(redacted(&names), names);
    assert!(names.contains("\"a: b\": "), "{names}");
}

#[test]
fn aliases_do_not_make_a_text_too_long() {
    let long = "x".repeat(1 << 20);
    let items = "*a, ".repeat(1000);
    let shown = redacted(&format!("paths: &a [{long}]\ngroups: [{items}]\n"));
    assert!(shown.len() < MAX_BYTES + (2 << 20), "{} bytes", shown.len());
    assert!(shown.ends_with("because the text is too long.\n"));
    assert!(crate::config::yaml::parse(&shown).0.is_some());
}
