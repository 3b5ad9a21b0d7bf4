//! What to look for in a text: the forms of secrets, and the parts of those that are made of several.
//!
//! A secret of several words (a header with its scheme, a line of a dialogue) is hidden as a whole and word by word. One that is a
//! document (the body of a request, a query) is hidden as a whole, line by line, and by those of its values that look
//! secret: their name says so, or they have both letters and digits.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::reading::seen;

/// The most needles of one run.
const MAX_NEEDLES: usize = 256;
/// How much of a secret is looked for, in bytes: no text that leaves a run is longer.
const MAX_LENGTH: usize = 2048;
/// How much of a document is searched for values, in bytes.
const MAX_DOCUMENT_BYTES: usize = 64 << 10;
/// A shorter secret is hidden only where it is a word of its own: everywhere else is chance. So are the words of a secret.
const MIN_ANYWHERE: usize = 4;
/// The shortest secret that is hidden, in characters: a text without its letters "a" says nothing.
const MIN_SECRET: usize = 2;
/// The shortest value that is hidden for what it looks like, and the shortest line of a document.
const MIN_VALUE: usize = 8;
/// Below this many characters base64 is looked for in its own case only.
const MIN_BASE64_ANY_CASE: usize = 8;

/// Secrets that everyone knows: RabbitMQ's user and password from its documentation, which Celery presumes as well.
const WELL_KNOWN: [&str; 1] = ["guest"];
/// Words of secrets that are none: schemes of authentication (RFC 9110, section 11) and commands of protocols.
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
/// What names of secret values have in them.
const SECRET_NAMES: [&str; 12] = [
    "auth", "code", "cred", "key", "login", "otp", "pass", "pin", "pwd", "secret", "sig", "token",
];

/// One text to look for.
#[derive(Debug, PartialEq, Eq)]
pub struct Needle {
    /// Its characters, in lower case where that is of no matter.
    pub characters: Vec<char>,
    /// Whether it is found only where it is a word of its own.
    pub is_word: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// Base64 in this case, or in any.
    Base64 {
        any_case: bool,
    },
}

impl Needle {
    /// Whether a character of a text is one of the needle.
    pub fn is_same(&self, wanted: char, character: char) -> bool {
        let character = match self.kind {
            Kind::Base64 { .. } if character == '-' => '+',
            Kind::Base64 { .. } if character == '_' => '/',
            Kind::Base64 { any_case: false } => character,
            _ => lower(character),
        };
        wanted == character
    }

    /// Where the needle was found, with what holds a part of it as well: in base64 the characters beside it, and the padding.
    pub fn widened(&self, text: &str, start: usize, end: usize) -> (usize, usize) {
        if self.kind == Kind::Text {
            return (start, end);
        }
        let bytes = text.as_bytes();
        let before = usize::from(start > 0 && super::is_base64(bytes[start - 1]));
        let mut end = end + usize::from(bytes.get(end).is_some_and(|byte| super::is_base64(*byte)));
        while bytes.get(end) == Some(&b'=') {
            end += 1;
        }
        (start - before, end)
    }
}

/// The needles of these secrets, the longest first.
pub fn of<'s>(secrets: impl Iterator<Item = &'s str>, target: &str) -> Vec<Needle> {
    let target = target.to_lowercase();
    let mut found = Found {
        needles: Vec::new(),
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
    found.needles
}

/// Whether a text says nothing of a secret that it is a word of.
pub fn is_open_word(text: &str) -> bool {
    OPEN_WORDS.contains(&text.to_lowercase().as_str())
}

struct Found {
    needles: Vec<Needle>,
    /// What the target says in public, word by word.
    open: Vec<String>,
}

impl Found {
    /// Adds the forms of a secret.
    fn add(&mut self, secret: &str) {
        let secret = secret.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let mut end = secret.len().min(MAX_LENGTH);
        while !secret.is_char_boundary(end) {
            end -= 1;
        }
        let secret = &secret[..end];
        let length = secret.chars().count();
        let is_open = WELL_KNOWN.contains(&secret) || self.open.contains(&secret.to_lowercase());
        if length < MIN_SECRET || is_open {
            return;
        }
        let text = |text: &str| Needle {
            characters: text.chars().map(|character| lower(seen(character))).collect(),
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
        if self.needles.len() < MAX_NEEDLES && !self.needles.contains(&needle) {
            self.needles.push(needle);
        }
    }
}

fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// How the bytes look in base64 after 0, 1 or 2 others: the characters that depend on them alone.
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

/// The parts of a secret that are secrets themselves.
fn parts(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    let is_document =
        secret.starts_with(['{', '[', '<']) || secret.contains(['\n', '&']) || secret.len() > MAX_LENGTH;
    let mut parts = match is_document {
        true => document_parts(secret),
        false => words(secret),
    };
    if let Some(decoded) = decoded(secret) {
        parts.extend(words(&decoded).into_iter().chain([decoded]));
    }
    let more: Vec<String> = parts.iter().filter_map(|part| decoded(part)).collect();
    for decoded in more {
        parts.extend(words(&decoded).into_iter().chain([decoded]));
    }
    parts
}

/// The words of a line, and the values in it, such as the `b` of `a=b`.
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

/// The lines of a document, and its values that look secret.
fn document_parts(document: &str) -> Vec<String> {
    let mut end = document.len().min(MAX_DOCUMENT_BYTES);
    while !document.is_char_boundary(end) {
        end -= 1;
    }
    let document = &document[..end];
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
        let looks_so = word.len() >= MIN_VALUE && has(|c| c.is_ascii_digit()) && has(|c| c.is_alphabetic());
        if is_named || looks_so {
            parts.push(word.to_owned());
        }
        name = word.to_lowercase();
    }
    if let Ok(json) = serde_json::from_str(document) {
        named_texts(&json, "", &mut parts);
    }
    parts
}

/// The texts of a JSON document whose names look secret, also such as hold quotes or spaces.
fn named_texts(json: &serde_json::Value, name: &str, parts: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) if SECRET_NAMES.iter().any(|part| name.contains(part)) => {
            parts.push(text.clone());
        }
        serde_json::Value::Object(entries) => {
            for (name, value) in entries {
                named_texts(value, &name.to_lowercase(), parts);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| named_texts(value, name, parts)),
        _ => {}
    }
}

/// What a secret that is itself encoded stands for: a target may tell it decoded.
fn decoded(text: &str) -> Option<String> {
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
