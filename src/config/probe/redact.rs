//! Renders the YAML of a module for debug output, without anything that may be secret.

use std::fmt::Write;

use crate::config::yaml::{Node, Value};

/// Keys whose values may be secret, with everything below them.
const SECRET_KEYS: [&str; 15] = [
    "bearer_token",
    "body",
    // A PEM text, which may contain the key as well.
    "cert",
    "client_secret",
    "credentials",
    "endpoint_params",
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
/// Keys of mappings with credentials. In them, [`OPEN_KEYS`] and the names of files and environment variables are not secret.
const CREDENTIAL_KEYS: [&str; 3] = ["authorization", "basic_auth", "oauth2"];
/// Keys that are not secret in a mapping with credentials.
const OPEN_KEYS: [&str; 4] = ["username", "type", "client_id", "token_url"];
/// The text that replaces a secret.
const HIDDEN: &str = "<secret>";

/// The visible part of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    /// The node, and all values below it except those of secret keys.
    Open,
    /// Only values of open keys.
    Credentials,
    /// No value. The keys below are chosen by the user, such as names of headers, so none of them is an open key.
    Hidden,
}

impl Visibility {
    /// The visibility of the value of `key` in a mapping.
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
                    Self::Hidden
                }
            }
            Self::Open | Self::Hidden => Self::Hidden,
        }
    }
}

/// Renders a module's YAML without secrets. URLs have no user info and no query.
pub fn to_yaml(node: &Node) -> String {
    let mut text = String::new();
    write_value(&mut text, node, 0, Visibility::Open);
    text.push('\n');
    text
}

fn write_value(text: &mut String, node: &Node, depth: usize, visibility: Visibility) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Pruned => text.push_str("null"),
        Value::Plain(_) | Value::Text(_) if visibility != Visibility::Open && !node.is_null() => {
            text.push_str(HIDDEN);
        }
        Value::Plain(scalar) => text.push_str(&scalar_to_yaml(scalar)),
        Value::Text(scalar) => text.push_str(&quote(&without_user_info(scalar))),
        Value::List(items) if items.is_empty() => text.push_str("[]"),
        Value::List(items) => {
            for item in items.iter() {
                let _ = write!(text, "\n{indent}- ");
                write_value(text, item, depth + 1, visibility);
            }
        }
        Value::Map(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Map(entries) => {
            for entry in entries.iter() {
                let _ = write!(text, "\n{indent}{}: ", scalar_to_yaml(&entry.key));
                write_value(
                    text,
                    &entry.value,
                    depth + 1,
                    visibility.below(&entry.key, &entry.value),
                );
            }
        }
    }
}

/// Renders a scalar, without quotes if its characters allow that.
fn scalar_to_yaml(scalar: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@~ ".contains(c);
    match without_user_info(scalar) {
        text if text.chars().all(is_plain) => text,
        text => quote(&text),
    }
}

fn quote(text: &str) -> String {
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
        // A URL without a scheme: `user:password@host:port`. The URL parser would treat the user as the scheme.
        _ => match text.rsplit_once('@') {
            Some((user, host)) if user.contains(':') && !user.contains(char::is_whitespace) => {
                format!("{HIDDEN}@{host}")
            }
            _ => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
