//! Tests of redacted modules.

#[path = "../../../../tests/common/schema_keys.rs"]
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
fn secret_keys_hide_their_values() {
    for key in [
        "bearer_token",
        "body",
        "authorization: { credentials",
        "authorization: { type: [{ token_url",
        "basic_auth: { password",
        "basic_auth: { username: { username",
        "oauth2: { client_secret",
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
fn every_key_of_a_module_is_listed_as_open_or_secret() {
    let schema = crate::config::schema::document();
    let found = schema_keys(&schema["properties"]["modules"], &schema);
    let shows = |key: &&String| redacted(&format!("{key}: hunter2\n")).contains("hunter2");
    let shown: Vec<&str> = found.iter().filter(shows).map(String::as_str).collect();
    // If you add a key that can't contain a secret, add it here. Otherwise add it to the secret keys.
    let open = [
        "allow_missing",
        "bearer_token_env",
        "bearer_token_file",
        "body_file",
        "body_size_limit",
        "ca",
        "ca_file",
        "cert_file",
        "client_id",
        "client_secret_env",
        "client_secret_file",
        "compression",
        "credentials_env",
        "credentials_file",
        "dns",
        "dns_over_tls",
        "dont_fragment",
        "enable_http2",
        "enable_http3",
        "expect",
        "expect_bytes",
        "fail_if_all_match_regexp",
        "fail_if_body_json_matches_cel",
        "fail_if_body_json_not_matches_cel",
        "fail_if_body_matches_regexp",
        "fail_if_body_not_matches_regexp",
        "fail_if_header_matches",
        "fail_if_header_not_matches",
        "fail_if_matches_regexp",
        "fail_if_none_matches_regexp",
        "fail_if_not_matches_regexp",
        "fail_if_not_ssl",
        "fail_if_ssl",
        "files",
        "follow_redirects",
        "grant_type",
        "grpc",
        "header",
        "http",
        "http_config",
        "icmp",
        "insecure_skip_verify",
        "ip_protocol_fallback",
        "key_file",
        "labels",
        "max_redirects",
        "max_version",
        "method",
        "min_version",
        "name",
        "no_follow_redirects",
        "no_proxy",
        "password_env",
        "password_file",
        "payload_size",
        "preferred_ip_protocol",
        "prober",
        "proxy_from_environment",
        "proxy_url",
        "query_class",
        "query_name",
        "query_response",
        "query_type",
        "recursion_desired",
        "regexp",
        "scopes",
        "server_name",
        "service",
        "skip_resolve_phase_with_proxy",
        "source_ip_address",
        "starttls",
        "tcp",
        "timeout",
        "tls",
        "tls_config",
        "token_url",
        "transport_protocol",
        "ttl",
        "type",
        "unix",
        "username",
        "username_env",
        "username_file",
        "valid_http_versions",
        "valid_rcodes",
        "valid_status_codes",
        "validate_additional_rrs",
        "validate_answer_rrs",
        "validate_authority_rrs",
        "value",
        "values",
        "websocket",
    ];
    assert_eq!(shown, open);
}
