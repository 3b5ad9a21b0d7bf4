//! Names of packages, extras and groups.

use std::fmt;
use std::rc::Rc;

/// A name in the form in which names are compared: lower case, with `-` for each run of `-`, `_` and `.` (PEP 503).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Rc<str>);

/// The longest name in characters. The longest one that the index accepts has 214.
const MAX_LENGTH: usize = 256;

impl Name {
    /// Parses a name: letters, digits, `-`, `_` and `.`, with a letter or digit at each end (PEP 508).
    pub fn parse(text: &str) -> Option<Self> {
        let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let is_valid = bytes.len() <= MAX_LENGTH
            && is_end(bytes.first())
            && is_end(bytes.last())
            && bytes.iter().all(|byte| is_name_byte(*byte));
        is_valid.then(|| Self::normalize(text))
    }

    /// Normalizes any text, as Python does before it compares extras.
    pub fn normalize(text: &str) -> Self {
        let mut name = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '-' | '_' | '.' if name.ends_with('-') => {}
                '-' | '_' | '.' => name.push('-'),
                other => name.push(other.to_ascii_lowercase()),
            }
        }
        Self(name.into())
    }

    /// The normalized name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a byte may be part of a name.
pub const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a valid name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_their_normal_form() {
        for text in ["Friendly-Bard", "friendly.bard", "FRIENDLY_-.bard"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), "friendly-bard");
        }
        for text in ["", "-a", "a-", "a b", "é", "a/b", &"a".repeat(257)] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
