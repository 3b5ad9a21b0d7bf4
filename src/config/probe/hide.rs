//! A module as it is written, for people, with everything hidden that may be a secret.

use std::fmt::Write;

use crate::config::yaml::{Node, Value};

/// Keys below which everything may be secret, whatever it is called.
const SECRET_KEYS: [&str; 14] = [
    "bearer_token",
    "body",
    // PEM, which may have the key in it as well.
    "cert",
    "client_secret",
    "credentials",
    "headers",
    "http_headers",
    "key",
    "metadata",
    "password",
    "proxy_connect_header",
    "secret",
    "secrets",
    "send",
];
/// Keys whose mappings have fixed keys: these ones and the names of files and environment variables are no secrets.
const CREDENTIAL_KEYS: [&str; 3] = ["authorization", "basic_auth", "oauth2"];
const OPEN_KEYS: [&str; 4] = ["username", "type", "client_id", "token_url"];
/// What stands in a secret's place.
const HIDDEN: &str = "<secret>";

/// What is shown of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Showing {
    /// It, and below it what no key hides.
    Open,
    /// Below it what a key opens.
    Credentials,
    /// Nothing below it: what looks like a key there is a name of the user's, such as a header's.
    Nothing,
}

impl Showing {
    /// What is shown of the value of `key` in a mapping of which this much is shown.
    fn below(self, key: &str, value: &Node) -> Self {
        match self {
            Self::Open if CREDENTIAL_KEYS.contains(&key) => Self::Credentials,
            Self::Open if !SECRET_KEYS.contains(&key) => Self::Open,
            Self::Credentials => {
                let is_open = OPEN_KEYS.contains(&key) || key.ends_with("_file") || key.ends_with("_env");
                let is_scalar = matches!(value.value, Value::Plain(_) | Value::Text(_));
                if is_open && is_scalar {
                    Self::Open
                } else {
                    Self::Nothing
                }
            }
            Self::Open | Self::Nothing => Self::Nothing,
        }
    }
}

/// The module's YAML. URLs lose their user info and query.
pub fn shown(node: &Node) -> String {
    let mut text = String::new();
    write_value(&mut text, node, 0, Showing::Open);
    text.push('\n');
    text
}

fn write_value(text: &mut String, node: &Node, depth: usize, showing: Showing) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Pruned => text.push_str("null"),
        Value::Plain(_) | Value::Text(_) if showing != Showing::Open && !node.is_null() => {
            text.push_str(HIDDEN);
        }
        Value::Plain(scalar) => text.push_str(&plain(scalar)),
        Value::Text(scalar) => text.push_str(&quoted(&without_user_info(scalar))),
        Value::List(items) if items.is_empty() => text.push_str("[]"),
        Value::List(items) => {
            for item in items.iter() {
                let _ = write!(text, "\n{indent}- ");
                write_value(text, item, depth + 1, showing);
            }
        }
        Value::Map(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Map(entries) => {
            for entry in entries.iter() {
                let _ = write!(text, "\n{indent}{}: ", plain(&entry.key));
                write_value(
                    text,
                    &entry.value,
                    depth + 1,
                    showing.below(&entry.key, &entry.value),
                );
            }
        }
    }
}

/// A scalar as it was, where that is one line of harmless characters.
fn plain(scalar: &str) -> String {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:@~ ".contains(c);
    match without_user_info(scalar) {
        open if open.chars().all(is_harmless) => open,
        open => quoted(&open),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn without_user_info(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if text.contains("://") => {
            let has_user = !url.username().is_empty() || url.password().is_some();
            if url.query().is_none() && !has_user {
                return text.to_owned();
            }
            let is_bare = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
            url.set_query(None);
            match is_bare || !has_user {
                true => url.to_string(),
                false => HIDDEN.to_owned(),
            }
        }
        // The default scheme is http: `user:password@host:port`, of which the user looks like a scheme.
        _ => match text.rsplit_once('@') {
            Some((user, host)) if user.contains(':') && !user.contains(char::is_whitespace) => {
                format!("{HIDDEN}@{host}")
            }
            _ => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        let module = "prober: http\nhttp:\n  method: POST\n  headers: { X-Key: hunter2, Host: hunter2 }\n  body: 'hunter2'\n  \
                      proxy_url: 'http://me:hunter2@proxy:1/'\n  basic_auth: { username: me, password: hunter2, password_file: /p }\n  \
                      bearer_token: hunter2\n  valid_status_codes: [200, 204]\n  authorization: { credentials: hunter2 }\n\
                      tcp:\n  query_response: [{ send: hunter2, expect: \"^a: b\" }]\n";
        let (node, _) = crate::config::yaml::parse(module);
        let shown = shown(&node.unwrap());
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
    /// What is shown of one YAML text.
    fn shown_of(module: &str) -> String {
        let (node, _) = crate::config::yaml::parse(module);
        shown(&node.unwrap())
    }

    #[test]
    fn no_key_that_can_hold_a_secret_shows_it() {
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
                let shown = shown_of(&module);
                assert!(
                    shown.contains(HIDDEN) && !shown.contains("hunter2"),
                    "{module}{shown}"
                );
            }
        }
    }

    #[test]
    fn no_header_shows_its_value_whatever_its_name() {
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
                format!(
                    "http_headers: {{ {name}: {{ secrets: [hunter2], values: ['hunter2'], files: [] }} }}"
                ),
                format!("http_headers: {{ {name}: {{ username: hunter2, x_file: [hunter2] }} }}"),
                format!("proxy_connect_header: {{ {name}: [hunter2, hunter2] }}"),
                format!("metadata: {{ {name}: [hunter2] }}"),
            ] {
                let shown = shown_of(&format!("prober: http\nhttp: {{ {headers}, method: PUT }}\n"));
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
                shown_of(&format!("proxy_url: {url}\n")).trim(),
                format!("proxy_url: {shown}")
            );
        }
    }
    /// The names of all keys in a schema.
    fn keys(schema: &Json, root: &Json, found: &mut BTreeSet<String>) {
        match schema {
            Json::Object(parts) => {
                for (name, part) in parts {
                    match (name.as_str(), part) {
                        ("$ref", Json::String(pointer)) => {
                            keys(
                                root.pointer(pointer.trim_start_matches('#')).unwrap(),
                                root,
                                found,
                            );
                        }
                        ("properties", Json::Object(properties)) => {
                            for (key, part) in properties {
                                found.insert(key.clone());
                                keys(part, root, found);
                            }
                        }
                        _ => keys(part, root, found),
                    }
                }
            }
            Json::Array(parts) => parts.iter().for_each(|part| keys(part, root, found)),
            _ => {}
        }
    }

    #[test]
    fn every_key_of_a_module_is_known_to_be_shown_or_hidden() {
        let schema = crate::config::schema::document();
        let mut found = BTreeSet::new();
        keys(&schema["properties"]["modules"], &schema, &mut found);
        let shows = |key: &&String| shown_of(&format!("{key}: hunter2\n")).contains("hunter2");
        let shown: Vec<&str> = found.iter().filter(shows).map(String::as_str).collect();
        // Who adds a key decides whether it may hold a secret: in this list, or in those above.
        let open = [
            "allow_missing",
            "bearer_token_env",
            "bearer_token_file",
            "body_file",
            "body_size_limit",
            "ca",
            "ca_file",
            "cert_file",
            "compression",
            "credentials_env",
            "credentials_file",
            "dns",
            "dns_over_tls",
            "dont_fragment",
            "enable_http2",
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
            "grpc",
            "header",
            "http",
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
            "server_name",
            "service",
            "skip_resolve_phase_with_proxy",
            "source_ip_address",
            "starttls",
            "tcp",
            "timeout",
            "tls",
            "tls_config",
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
        ];
        assert_eq!(shown, open);
    }
}
