//! The key of a service. A service with a name and no key gets a key that is made of the name.

use super::validate::MAX_KEY;
use super::yaml::{Node, Value};

/// Makes a key of a name: letters in lower case, and one hyphen for everything that is not allowed in keys. `Portfolio site (EU)`
/// becomes `portfolio-site-eu`. `None` if the name has no letter of a-z and no digit.
pub fn from_name(name: &str) -> Option<String> {
    let mut key = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        match letter {
            'a'..='z' | '0'..='9' | '_' | '.' => key.push(letter),
            _ if key.ends_with('-') => {}
            _ => key.push('-'),
        }
        if key.len() >= MAX_KEY {
            break;
        }
    }
    let key = key.trim_matches('-');
    key.contains(|letter: char| letter.is_ascii_alphanumeric())
        .then(|| key.to_owned())
}

/// A key for a service without key and name, made of what it checks.
pub fn suggestion(service: &Node) -> Option<String> {
    let unit = text(service, "systemd").map(|unit| unit.trim_end_matches(".service").to_owned());
    let host = || {
        url::Url::parse(&text(service, "url")?)
            .ok()?
            .host_str()
            .map(str::to_owned)
    };
    [unit, text(service, "container"), text(service, "host"), host()]
        .into_iter()
        .flatten()
        .find_map(|text| from_name(&text))
}

/// The key of a service as it is written, valid or not, or the one that is made of its name.
pub fn of(service: &Node) -> Option<String> {
    match is_derived(service) {
        true => from_name(&text(service, "name")?),
        false => text(service, "key"),
    }
}

/// Whether the key of a service, if it has one, is made of its name.
pub fn is_derived(service: &Node) -> bool {
    service.get("key").is_none_or(Node::is_null)
}

fn text(service: &Node, key: &str) -> Option<String> {
    let node = service.get(key).filter(|node| !node.is_null())?;
    match &node.value {
        Value::Plain(text) | Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_only_allowed_characters() {
        for (name, key) in [
            ("API", Some("api")),
            ("Portfolio site", Some("portfolio-site")),
            ("  Shop (EU) / v2.1 ", Some("shop-eu-v2.1")),
            ("my_db", Some("my_db")),
            ("Café", Some("caf")),
            ("--", None),
            ("__", None),
            ("日本", None),
            ("", None),
        ] {
            assert_eq!(from_name(name).as_deref(), key, "{name}");
        }
        let long = from_name(&"Ab ".repeat(100)).unwrap();
        assert!(long.len() == MAX_KEY && !long.ends_with('-'), "{long}");
    }
}
