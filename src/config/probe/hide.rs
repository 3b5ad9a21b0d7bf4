//! A module as it is written, for people, with everything hidden that may be a secret.

use std::fmt::Write;

use crate::config::yaml::{Node, Value};

/// Keys whose values, or whose mapping's values, may be secrets.
const SECRET_KEYS: [&str; 13] = [
    "authorization",
    "basic_auth",
    "bearer_token",
    "body",
    "client_secret",
    "credentials",
    "headers",
    "key",
    "metadata",
    "oauth2",
    "password",
    "proxy_connect_header",
    "send",
];
/// Parts of them that are none.
const OPEN_KEYS: [&str; 4] = ["username", "type", "client_id", "token_url"];
/// What stands in a secret's place.
const HIDDEN: &str = "<secret>";

/// The module's YAML. URLs lose their user info and query.
pub fn shown(node: &Node) -> String {
    let mut text = String::new();
    write_value(&mut text, node, 0, false);
    text.push('\n');
    text
}

fn write_value(text: &mut String, node: &Node, depth: usize, is_secret: bool) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Pruned => text.push_str("null"),
        Value::Plain(_) | Value::Text(_) if is_secret && !node.is_null() => text.push_str(HIDDEN),
        Value::Plain(scalar) => text.push_str(&plain(scalar)),
        Value::Text(scalar) => text.push_str(&quoted(&without_user_info(scalar))),
        Value::List(items) if items.is_empty() => text.push_str("[]"),
        Value::List(items) => {
            for item in items.iter() {
                let _ = write!(text, "\n{indent}- ");
                write_value(text, item, depth + 1, is_secret);
            }
        }
        Value::Map(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Map(entries) => {
            for entry in entries.iter() {
                let opens = OPEN_KEYS.contains(&&*entry.key)
                    || entry.key.ends_with("_file")
                    || entry.key.ends_with("_env");
                let hides = SECRET_KEYS.iter().any(|key| entry.key.starts_with(key));
                let _ = write!(text, "\n{indent}{}: ", plain(&entry.key));
                write_value(text, &entry.value, depth + 1, !opens && (is_secret || hides));
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
        Ok(mut url) if text.contains("://") && (!url.username().is_empty() || url.password().is_some()) => {
            let hidden = url.set_username("").and_then(|()| url.set_password(None));
            if hidden.is_ok() {
                url.to_string()
            } else {
                HIDDEN.to_owned()
            }
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
}
