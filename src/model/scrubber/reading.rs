//! A text as it may be read: character by character, each as it is or as what it encodes.

use std::cell::OnceCell;

/// A character with the place after it.
type Read = (char, usize);

/// Entities of HTML that have names in every version of it, and XML's.
const ENTITIES: [(&str, char); 6] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
];
/// The longest entity, `&#x10ffff;`.
const MAX_ENTITY_BYTES: usize = 10;

/// The ways to read a text from each of its places on.
pub struct Reading<'t> {
    text: &'t str,
    places: Vec<OnceCell<Vec<Read>>>,
}

impl<'t> Reading<'t> {
    /// Those of this text.
    pub fn new(text: &'t str) -> Self {
        let mut places = Vec::new();
        places.resize_with(text.len() + 1, OnceCell::new);
        Self { text, places }
    }

    /// The text.
    pub const fn text(&self) -> &'t str {
        self.text
    }

    /// The places where characters begin.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.text.char_indices().map(|(start, _)| start)
    }

    /// What can be read at a place.
    pub fn at(&self, place: usize) -> &[Read] {
        match self.places.get(place) {
            Some(read) => read.get_or_init(|| read_at(self.text, place)),
            None => &[],
        }
    }
}

fn read_at(text: &str, start: usize) -> Vec<Read> {
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else {
        return Vec::new();
    };
    let mut read = vec![(first, start + first.len_utf8())];
    let mut push = |found: Option<(char, usize)>| read.extend(found.map(|(c, length)| (c, start + length)));
    match first {
        '+' => push(Some((' ', 1))),
        '%' => {
            push(percent_encoded(rest, "%"));
            // Encoded twice.
            push(percent_encoded(rest, "%25"));
        }
        '\\' => push(escaped(rest)),
        '&' => push(entity(rest)),
        _ => {}
    }
    read
}

/// A character of UTF-8 whose bytes are two hexadecimal digits each, after a mark.
fn percent_encoded(text: &str, mark: &str) -> Option<(char, usize)> {
    let mut bytes = Vec::with_capacity(4);
    let mut rest = text;
    while bytes.len() < 4 {
        rest = rest.strip_prefix(mark)?;
        bytes.push(hexadecimal(rest.get(..2)?)?);
        rest = &rest[2..];
        if let Ok(character) = std::str::from_utf8(&bytes) {
            let character = character.chars().next()?;
            return Some((seen(character), text.len() - rest.len()));
        }
    }
    None
}

/// What a backslash and what follows it stand for, in JSON, C, Rust or Python.
fn escaped(text: &str) -> Option<(char, usize)> {
    let after = text.strip_prefix('\\')?;
    let kind = after.chars().next()?;
    let digits = |from: usize, count: usize| {
        let digits = after.get(from..from + count)?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then_some(digits)
    };
    let of_code = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    let (character, length) = match kind {
        'n' | 'r' | 't' | 'b' | 'f' | '0' => (' ', 2),
        'x' if digits(1, 2).is_some() => {
            // A byte, of one character with others.
            return percent_encoded(text, "\\x").or_else(|| percent_encoded(text, "\\X"));
        }
        'u' if after[1..].starts_with('{') => {
            let end = after.find('}').filter(|end| *end <= 8)?;
            (of_code(&after[2..end])?, end + 2)
        }
        'u' => (of_code(digits(1, 4)?)?, 6),
        other if other.is_ascii_punctuation() => (other, 2),
        _ => return None,
    };
    Some((seen(character), length))
}

fn entity(text: &str) -> Option<(char, usize)> {
    let end = text
        .bytes()
        .take(MAX_ENTITY_BYTES)
        .position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let character = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
        None => {
            ENTITIES
                .iter()
                .find(|(known, _)| name.eq_ignore_ascii_case(known))?
                .1
        }
    };
    Some((seen(character), end + 1))
}

fn hexadecimal(digits: &str) -> Option<u8> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// Messages and journals show a space in place of what is not seen.
pub fn seen(character: char) -> char {
    match super::super::is_unseen(character) {
        true => ' ',
        false => character,
    }
}
