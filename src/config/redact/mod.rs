//! Renders configuration without anything that may be secret, for `/config` and for debug output of probes. Only the values of
//! keys that are listed as open are shown.

mod open_keys;

use std::fmt::Write;

use self::open_keys::OPEN_KEYS;
use super::yaml::{Node, Value};

/// Keys of mappings with credentials. In them, [`OPEN_CREDENTIAL_KEYS`] and the names of files and environment variables are not
/// secret.
const CREDENTIAL_KEYS: [&str; 3] = ["authorization", "basic_auth", "oauth2"];
/// Keys that are not secret in a mapping with credentials.
const OPEN_CREDENTIAL_KEYS: [&str; 6] = [
    "client_id",
    "grant_type",
    "scopes",
    "token_url",
    "type",
    "username",
];
/// Keys of mappings whose keys are names that the user chose.
const KEYS_WITH_NAMES: [&str; 2] = ["model_dates", "modules"];
/// The text that replaces a secret.
const HIDDEN: &str = "<secret>";
/// The longest text. Aliases can make a text much longer than its file.
pub const MAX_BYTES: usize = 16 << 20;
/// The end of a text that is too long.
pub const CUT: &str = "# The rest is left out, because the text is too long.\n";

/// The visible part of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    /// The values of open keys.
    Open,
    /// As `Open`, in services: their `key` is a name. Elsewhere, `key` is a private key.
    Services,
    /// The keys are names. Their values are open.
    Names,
    /// Only values of open keys for credentials.
    Credentials,
    /// No value. The keys below are chosen by the user, such as names of headers, so none of them is an open key.
    Hidden,
}

impl Visibility {
    /// The visibility of the value of `key` in a mapping.
    fn below(self, key: &str, value: &Node) -> Self {
        match self {
            Self::Open | Self::Services => match key {
                "services" => Self::Services,
                "key" if self == Self::Services => Self::Open,
                _ if KEYS_WITH_NAMES.contains(&key) => Self::Names,
                _ if CREDENTIAL_KEYS.contains(&key) => Self::Credentials,
                _ if OPEN_KEYS.binary_search(&key).is_ok() => Self::Open,
                _ => Self::Hidden,
            },
            Self::Names => Self::Open,
            Self::Credentials => {
                let is_open =
                    OPEN_CREDENTIAL_KEYS.contains(&key) || key.ends_with("_file") || key.ends_with("_env");
                if is_open && has_no_keys(value) {
                    Self::Open
                } else {
                    Self::Hidden
                }
            }
            Self::Hidden => Self::Hidden,
        }
    }

    const fn shows_values(self) -> bool {
        matches!(self, Self::Open | Self::Services)
    }
}

/// Whether it is a scalar or a list of scalars.
fn has_no_keys(value: &Node) -> bool {
    let is_scalar = |node: &Node| matches!(node.value, Value::Plain(_) | Value::Text(_));
    is_scalar(value) || value.items().is_some_and(|items| items.iter().all(is_scalar))
}

/// Renders YAML without secrets. URLs have no user info and no query.
pub fn to_yaml(node: &Node) -> String {
    to_yaml_within(node, MAX_BYTES)
}

/// As [`to_yaml`]. Ends with the value that reaches `max_bytes` bytes.
pub fn to_yaml_within(node: &Node, max_bytes: usize) -> String {
    let mut writer = Writer {
        text: String::new(),
        max_bytes,
    };
    writer.write(node, 0, Visibility::Open);
    let mut text = writer.text;
    text.push('\n');
    if text.len() > max_bytes {
        text.push_str(CUT);
    }
    text
}

struct Writer {
    text: String,
    max_bytes: usize,
}

impl Writer {
    const fn is_full(&self) -> bool {
        self.text.len() >= self.max_bytes
    }

    fn write(&mut self, node: &Node, depth: usize, visibility: Visibility) {
        let indent = "  ".repeat(depth);
        match &node.value {
            Value::Pruned => self.text.push_str("null"),
            Value::Plain(_) | Value::Text(_) if !visibility.shows_values() && !node.is_null() => {
                self.text.push_str(HIDDEN);
            }
            Value::Plain(scalar) => self.text.push_str(&scalar_to_yaml(scalar)),
            Value::Text(scalar) => self.text.push_str(&quote(&without_user_info(scalar))),
            Value::List(items) if items.is_empty() => self.text.push_str("[]"),
            Value::List(items) => {
                for item in items.iter() {
                    if self.is_full() {
                        return;
                    }
                    let _ = write!(self.text, "\n{indent}- ");
                    self.write(item, depth + 1, visibility);
                }
            }
            Value::Map(entries) if entries.is_empty() => self.text.push_str("{}"),
            Value::Map(entries) => {
                for entry in entries.iter() {
                    if self.is_full() {
                        return;
                    }
                    let _ = write!(self.text, "\n{indent}{}: ", scalar_to_yaml(&entry.key));
                    let below = visibility.below(&entry.key, &entry.value);
                    self.write(&entry.value, depth + 1, below);
                }
            }
        }
    }
}

/// Renders a scalar, without quotes if its characters allow that.
fn scalar_to_yaml(scalar: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@~ ".contains(c);
    // Keys can be texts that need quotes although their characters do not.
    let has_indicator = scalar.starts_with("- ") || scalar.starts_with("---") || scalar.starts_with('@');
    let is_mapping = scalar.contains(": ") || scalar.ends_with(':');
    match without_user_info(scalar) {
        text if text.chars().all(is_plain) && !has_indicator && !is_mapping && text.trim() == text => text,
        text => quote(&text),
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Removes the user info, the query and the fragment of a URL.
fn without_user_info(text: &str) -> String {
    let Some((scheme, _)) = text.split_once("://") else {
        // A URL without a scheme: `user:password@host:port`. The URL parser would treat the user as the scheme.
        return match text.rsplit_once('@') {
            Some((user, host)) if user.contains(':') && !user.contains(char::is_whitespace) => {
                format!("{HIDDEN}@{host}")
            }
            _ => text.to_owned(),
        };
    };
    let is_url = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    // Other texts, such as expressions, may contain a URL.
    let may_have_secret = |c: char| c == '@' || is_url && matches!(c, '?' | '#');
    if !text.contains(may_have_secret) {
        return text.to_owned();
    }
    let shown = url::Url::parse(text).ok().and_then(|mut url| {
        if !url.username().is_empty() || url.password().is_some() {
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
        }
        url.set_query(None);
        url.set_fragment(None);
        Some(url.to_string())
    });
    // A second `@` is another user, such as in a list of URLs.
    let is_bare = |shown: &String| !shown.contains('@');
    shown.filter(is_bare).unwrap_or_else(|| HIDDEN.to_owned())
}

#[cfg(test)]
mod tests;
