//! The texts to search for: the encoded forms of secrets and of their parts.
//!
//! A secret of several words (a header with its scheme, a line of a dialogue) is hidden as a whole and word by word. A document (a
//! request body, a query) is hidden as a whole, line by line, and in those values that look secret: by their name, or because they
//! contain both letters and digits.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::reading::to_visible;
use crate::model::text::prefix;

/// The maximum number of needles of one run.
const MAX_NEEDLES: usize = 256;
/// The maximum length of a searched secret, in bytes. No text of a result is longer.
const MAX_LENGTH: usize = 2048;
/// The maximum size of a document that is searched for values, in bytes.
const MAX_DOCUMENT_BYTES: usize = 64 << 10;
/// A shorter secret is hidden only where it is a whole word, because it may appear by chance elsewhere. Shorter words of a secret are
/// not hidden at all.
const MIN_ANYWHERE: usize = 4;
/// The shortest secret that is hidden, in characters. Hiding single letters would make texts unreadable.
const MIN_SECRET: usize = 2;
/// The shortest value that is hidden because it looks secret, and the shortest line of a document.
const MIN_VALUE: usize = 8;
/// Base64 that is shorter than this is searched case-sensitively.
const MIN_BASE64_ANY_CASE: usize = 8;

/// Well-known secrets: the default user and password of RabbitMQ, which Celery uses as well.
const WELL_KNOWN: [&str; 1] = ["guest"];
/// Words in secrets that are not secret: authentication schemes (RFC 9110, section 11) and commands of protocols.
const OPEN_WORDS: [&str; 27] = [
    "apikey",
    "auth",
    "authenticate",
    "authorization",
    "basic",
    "bearer",
    "capability",
    "digest",
    "ehlo",
    "false",
    "helo",
    "http",
    "https",
    "login",
    "mail",
    "nick",
    "none",
    "noop",
    "null",
    "pass",
    "ping",
    "plain",
    "pong",
    "quit",
    "starttls",
    "true",
    "user",
];
/// Parts of the names of secret values.
const SECRET_NAMES: [&str; 12] = [
    "auth", "code", "cred", "key", "login", "otp", "pass", "pin", "pwd", "secret", "sig", "token",
];

/// A text to search for.
#[derive(Debug, PartialEq, Eq)]
pub struct Needle {
    /// Its characters, in lower case if the case does not matter.
    pub characters: Vec<char>,
    /// Whether it is found only as a whole word.
    pub is_word: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// Base64, in this letter case or in any.
    Base64 {
        any_case: bool,
    },
}

impl Needle {
    /// Whether a character of a text matches a character of the needle.
    pub fn is_same(&self, wanted: char, character: char) -> bool {
        let character = match self.kind {
            Kind::Base64 { .. } if character == '-' => '+',
            Kind::Base64 { .. } if character == '_' => '/',
            Kind::Base64 { any_case: false } => character,
            _ => lower(character),
        };
        wanted == character
    }

    /// Extends the range of a match. In base64 the neighboring characters contain a part of the secret, and the padding belongs to it.
    pub fn widen(&self, text: &str, start: usize, end: usize) -> (usize, usize) {
        if self.kind == Kind::Text {
            return (start, end);
        }
        let bytes = text.as_bytes();
        let before = usize::from(start > 0 && is_base64(bytes[start - 1]));
        let mut end = end + usize::from(bytes.get(end).is_some_and(|byte| is_base64(*byte)));
        while bytes.get(end) == Some(&b'=') {
            end += 1;
        }
        (start - before, end)
    }
}

/// The needles for these secrets.
pub fn needles<'s>(secrets: impl Iterator<Item = &'s str>, target: &str) -> Vec<Needle> {
    let target = target.to_lowercase();
    let mut found = Needles {
        list: Vec::new(),
        open: target
            .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
            .map(str::to_owned)
            .collect(),
    };
    found
        .open
        .extend(target.split(['/', ':', '@', '?', '[', ']']).map(str::to_owned));
    found.open.push(target);
    for secret in secrets {
        found.add(secret);
        for part in parts(secret) {
            if part.chars().count() >= MIN_ANYWHERE && !is_open_word(&part) {
                found.add(&part);
            }
        }
    }
    found.list
}

/// Whether a byte is a digit of base64, in any alphabet.
pub const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Whether a word of a secret is not secret itself.
pub fn is_open_word(text: &str) -> bool {
    OPEN_WORDS.contains(&text.to_lowercase().as_str())
}

struct Needles {
    list: Vec<Needle>,
    /// The public words of the target.
    open: Vec<String>,
}

impl Needles {
    /// Adds all forms of a secret.
    fn add(&mut self, secret: &str) {
        let secret = secret.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let secret = prefix(secret, MAX_LENGTH);
        let length = secret.chars().count();
        let is_open = WELL_KNOWN.contains(&secret) || self.open.contains(&secret.to_lowercase());
        if length < MIN_SECRET || is_open {
            return;
        }
        let text = |text: &str| Needle {
            characters: text
                .chars()
                .map(|character| lower(to_visible(character)))
                .collect(),
            is_word: length < MIN_ANYWHERE,
            kind: Kind::Text,
        };
        self.push(text(secret));
        if length < MIN_ANYWHERE {
            return;
        }
        let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.push(text(&hexadecimal));
        for core in base64_cores(secret.as_bytes()) {
            let any_case = core.len() >= MIN_BASE64_ANY_CASE;
            let lowered = |character| if any_case { lower(character) } else { character };
            self.push(Needle {
                characters: core.chars().map(lowered).collect(),
                is_word: false,
                kind: Kind::Base64 { any_case },
            });
        }
    }

    fn push(&mut self, needle: Needle) {
        if self.list.len() < MAX_NEEDLES && !self.list.contains(&needle) {
            self.list.push(needle);
        }
    }
}

fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// The base64 of the bytes after 0, 1 or 2 other bytes: only the characters that depend on these bytes alone.
fn base64_cores(bytes: &[u8]) -> Vec<String> {
    let cores = (0..3).map(|before| {
        let mut padded = vec![0; before];
        padded.extend_from_slice(bytes);
        let encoded = base64::engine::general_purpose::STANDARD.encode(&padded);
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        encoded[first..last].to_owned()
    });
    cores.filter(|core| core.len() >= MIN_ANYWHERE).collect()
}

/// The parts of a secret that are secret themselves.
fn parts(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    let is_document =
        secret.starts_with(['{', '[', '<']) || secret.contains(['\n', '&']) || secret.len() > MAX_LENGTH;
    let mut parts = match is_document {
        true => document_parts(secret),
        false => words(secret),
    };
    if let Some(decoded) = decode(secret) {
        parts.extend(words(&decoded).into_iter().chain([decoded]));
    }
    let more: Vec<String> = parts.iter().filter_map(|part| decode(part)).collect();
    for decoded in more {
        parts.extend(words(&decoded).into_iter().chain([decoded]));
    }
    parts
}

/// The words of a line and the values in it, such as `b` in `a=b`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in line.split(|c: char| c.is_whitespace() || c.is_control()) {
        let bare = |text: &str| text.trim_matches(['"', '\'', ',', ';']).to_owned();
        words.push(bare(word));
        if let Some((_, value)) = word.split_once(['=', ':']) {
            words.push(bare(value));
        }
    }
    words
}

/// The lines of a document and its values that look secret.
fn document_parts(document: &str) -> Vec<String> {
    let document = prefix(document, MAX_DOCUMENT_BYTES);
    let lines = document
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= MIN_VALUE);
    let mut parts: Vec<String> = lines.take(MAX_NEEDLES / 8).map(str::to_owned).collect();
    let is_end = |c: char| c.is_whitespace() || c.is_control() || "\"'{}[](),;&?=:<>".contains(c);
    let mut name = String::new();
    for word in document.split(is_end).filter(|word| !word.is_empty()) {
        let is_named = SECRET_NAMES.iter().any(|part| name.contains(part));
        let has = |kind: fn(char) -> bool| word.contains(kind);
        let looks_secret =
            word.len() >= MIN_VALUE && has(|c| c.is_ascii_digit()) && has(|c| c.is_alphabetic());
        if is_named || looks_secret {
            parts.push(word.to_owned());
        }
        name = word.to_lowercase();
    }
    if let Ok(json) = serde_json::from_str(document) {
        collect_named(&json, "", &mut parts);
    }
    parts
}

/// The strings of a JSON document whose names look secret. They may contain quotes and spaces.
fn collect_named(json: &serde_json::Value, name: &str, parts: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) if SECRET_NAMES.iter().any(|part| name.contains(part)) => {
            parts.push(text.clone());
        }
        serde_json::Value::Object(entries) => {
            for (name, value) in entries {
                collect_named(value, &name.to_lowercase(), parts);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect_named(value, name, parts)),
        _ => {}
    }
}

/// Decodes a secret that is itself encoded: a target may return it decoded.
fn decode(text: &str) -> Option<String> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    if text.contains('%') {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
        return (decoded != text).then(|| decoded.into_owned());
    }
    if text.len() < MIN_VALUE || text.len() > MAX_LENGTH {
        return None;
    }
    let standard = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
    let bytes = standard.decode(text).or_else(|_| url_safe.decode(text)).ok()?;
    let decoded = String::from_utf8(bytes).ok()?;
    let is_text = decoded.chars().all(|c| c == '\0' || !c.is_control());
    is_text.then_some(decoded)
}
