//! All ways to read a text character by character: each character as it is, or as the encoded character that begins there.

use std::cell::OnceCell;

use crate::model::text::is_invisible;

/// A character and the position after it.
type Read = (char, usize);

/// The named entities of every version of HTML, and of XML.
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

/// The readings of a text at each position, computed when needed.
pub struct Reading<'t> {
    text: &'t str,
    positions: Vec<OnceCell<Vec<Read>>>,
}

impl<'t> Reading<'t> {
    /// The readings of this text.
    pub fn new(text: &'t str) -> Self {
        let mut positions = Vec::new();
        positions.resize_with(text.len() + 1, OnceCell::new);
        Self { text, positions }
    }

    /// The text.
    pub const fn text(&self) -> &'t str {
        self.text
    }

    /// The positions where characters begin.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.text.char_indices().map(|(start, _)| start)
    }

    /// The characters that can be read at a position.
    pub fn at(&self, position: usize) -> &[Read] {
        match self.positions.get(position) {
            Some(read) => read.get_or_init(|| read_at(self.text, position)),
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
            push(read_percent(rest, "%"));
            // Encoded twice.
            push(read_percent(rest, "%25"));
        }
        '\\' => push(read_escape(rest)),
        '&' => push(read_entity(rest)),
        _ => {}
    }
    read
}

/// Reads a UTF-8 character whose bytes are two hexadecimal digits each, after a mark.
fn read_percent(text: &str, mark: &str) -> Option<(char, usize)> {
    let mut bytes = Vec::with_capacity(4);
    let mut rest = text;
    while bytes.len() < 4 {
        rest = rest.strip_prefix(mark)?;
        bytes.push(parse_hex(rest.get(..2)?)?);
        rest = &rest[2..];
        if let Ok(character) = std::str::from_utf8(&bytes) {
            let character = character.chars().next()?;
            return Some((to_visible(character), text.len() - rest.len()));
        }
    }
    None
}

/// Reads a backslash escape of JSON, C, Rust or Python.
fn read_escape(text: &str) -> Option<(char, usize)> {
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
            // One byte of a character.
            return read_percent(text, "\\x").or_else(|| read_percent(text, "\\X"));
        }
        'u' if after[1..].starts_with('{') => {
            let end = after.find('}').filter(|end| *end <= 8)?;
            (of_code(&after[2..end])?, end + 2)
        }
        'u' => (of_code(digits(1, 4)?)?, 6),
        other if other.is_ascii_punctuation() => (other, 2),
        _ => return None,
    };
    Some((to_visible(character), length))
}

fn read_entity(text: &str) -> Option<(char, usize)> {
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
    Some((to_visible(character), end + 1))
}

fn parse_hex(digits: &str) -> Option<u8> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// Replaces an invisible character by a space, as messages and debug logs do.
pub fn to_visible(character: char) -> char {
    match is_invisible(character) {
        true => ' ',
        false => character,
    }
}
