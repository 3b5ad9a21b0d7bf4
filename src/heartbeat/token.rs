//! Finds the job of a token. Only keyed hashes of tokens are stored and compared, so the time of a search says nothing about the tokens.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;

use crate::config::heartbeat::{is_token, is_token_byte};
use crate::model::CheckId;

/// The replacement for a token in a message.
const HIDDEN: &str = "<secret>";

/// The hash of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// Does not show the hash.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(hidden)")
    }
}

/// Hashes tokens with a key that only this process has.
pub struct TokenHasher(hmac::Key);

impl TokenHasher {
    /// A hasher with a random key.
    pub fn new() -> Self {
        let mut key = [0; 32];
        // The generator of the library does not fail after its first use in this process, which the TLS code makes sure of. A key of zeros
        // would still hide the tokens, because the hashes never leave the process.
        let _ = rand::fill(&mut key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The hash of a token.
    pub fn hash(&self, token: &str) -> TokenHash {
        let tag = hmac::sign(&self.0, token.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(tag.as_ref());
        TokenHash(hash)
    }
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHasher(hidden)")
    }
}

/// The jobs by token. Several checks may have the same token by mistake. Then it is the token of none.
#[derive(Debug, Default)]
pub struct TokenTable {
    by_hash: HashMap<TokenHash, Vec<CheckId>>,
    by_check: HashMap<CheckId, TokenHash>,
}

impl TokenTable {
    /// Sets the token of a check, and removes its earlier one.
    pub fn set(&mut self, check: &CheckId, hash: TokenHash) {
        if self.by_check.get(check) == Some(&hash) {
            return;
        }
        self.remove(check);
        self.by_check.insert(check.clone(), hash);
        self.by_hash.entry(hash).or_default().push(check.clone());
    }

    /// Removes a check.
    pub fn remove(&mut self, check: &CheckId) {
        let Some(hash) = self.by_check.remove(check) else {
            return;
        };
        if let Some(checks) = self.by_hash.get_mut(&hash) {
            checks.retain(|other| other != check);
            if checks.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    /// The check with this token.
    pub fn find(&self, hash: TokenHash) -> Option<&CheckId> {
        match self.by_hash.get(&hash)?.as_slice() {
            [check] => Some(check),
            _ => None,
        }
    }

    /// Another check with the token of this one.
    pub fn twin(&self, check: &CheckId) -> Option<&CheckId> {
        let checks = self.by_hash.get(self.by_check.get(check)?)?;
        checks.iter().find(|other| *other != check)
    }

    /// Replaces every token in a text.
    pub fn hide(&self, text: &str, hasher: &TokenHasher) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest
                .bytes()
                .position(|byte| !is_token_byte(byte))
                .unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            match is_token(word) && self.by_hash.contains_key(&hasher.hash(word)) {
                true => shown.push_str(HIDDEN),
                false => shown.push_str(word),
            }
            let next = tail.bytes().position(is_token_byte).unwrap_or(tail.len());
            let (between, tail) = tail.split_at(next);
            shown.push_str(between);
            rest = tail;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckName, ServiceKey};

    fn id(service: &str) -> CheckId {
        CheckId {
            service: ServiceKey::new(service),
            check: CheckName::new("heartbeat"),
        }
    }

    #[test]
    fn a_token_of_two_checks_is_the_token_of_none() {
        let (hasher, mut table) = (TokenHasher::new(), TokenTable::default());
        let (one, other) = (hasher.hash("0123456789abcdef"), hasher.hash("fedcba9876543210"));
        table.set(&id("a"), one);
        assert_eq!(table.find(one), Some(&id("a")));
        assert_eq!(table.find(other), None);
        table.set(&id("b"), one);
        assert_eq!(table.find(one), None);
        assert_eq!(table.twin(&id("a")), Some(&id("b")));
        assert_eq!(table.twin(&id("b")), Some(&id("a")));
        table.set(&id("b"), other);
        assert_eq!(
            (table.find(one), table.find(other)),
            (Some(&id("a")), Some(&id("b")))
        );
        assert_eq!(table.twin(&id("a")), None);
        table.remove(&id("a"));
        assert_eq!(table.find(one), None);
        assert!(table.by_hash.len() == 1 && table.by_check.len() == 1);
    }

    #[test]
    fn tokens_in_texts_are_hidden() {
        let (hasher, mut table) = (TokenHasher::new(), TokenTable::default());
        table.set(&id("a"), hasher.hash("0123456789abcdef"));
        let hide = |text: &str| table.hide(text, &hasher);
        assert_eq!(
            hide("GET http://h/api/heartbeat/0123456789abcdef/start é 0123456789abcdef0 x"),
            "GET http://h/api/heartbeat/<secret>/start é 0123456789abcdef0 x"
        );
        assert_eq!(hide("0123456789abcdef"), "<secret>");
        assert_eq!(hide("…"), "…");
        assert_eq!(hide(""), "");
    }

    #[test]
    fn two_processes_have_different_hashes() {
        let token = "0123456789abcdef";
        assert!(TokenHasher::new().hash(token) != TokenHasher::new().hash(token));
    }
}
