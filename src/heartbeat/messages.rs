//! The texts that beats carry. Pure.

use std::borrow::Cow;

use crate::model::{is_invisible, truncate};

/// The longest text of a beat, in bytes. The rest of a request is not read.
pub const MAX_MESSAGE_BYTES: usize = 10_000;

/// The most bytes of texts that all jobs together may store. They are in memory, and in the state file, which is written after every beat.
pub const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;

/// The longest text while the stored ones have [`MAX_STORED_BYTES`].
const MAX_SHORT_BYTES: usize = 200;

/// Decodes a text. Invisible characters become spaces, except line breaks and tabs.
pub fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_MESSAGE_BYTES).unwrap_or(bytes);
    let text = match String::from_utf8_lossy(bytes) {
        // The limit may have cut a character in two.
        Cow::Owned(text) => text.trim_end_matches('\u{fffd}').to_owned(),
        Cow::Borrowed(text) => text.to_owned(),
    };
    let visible = |character| match character {
        '\n' | '\t' => character,
        _ if is_invisible(character) => ' ',
        _ => character,
    };
    let mut text: String = text.replace("\r\n", "\n").chars().map(visible).collect();
    text.truncate(text.trim_end().len());
    text
}

/// Shortens a text if the texts of all jobs have too many bytes.
pub fn fit(text: &mut String, stored: usize) {
    let max = match stored + text.len() > MAX_STORED_BYTES {
        true => MAX_SHORT_BYTES,
        false => MAX_MESSAGE_BYTES,
    };
    truncate(text, max);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_visible_and_bounded() {
        assert_eq!(decode(b"a\r\nb\tc\x1b[31m\0\n\n"), "a\nb\tc [31m");
        assert_eq!(decode("a\u{202e}b".as_bytes()), "a b");
        assert_eq!(decode(&[0xff; 3]), "");
        let long = "é".repeat(MAX_MESSAGE_BYTES);
        assert_eq!(decode(&long.as_bytes()[1..]).len(), MAX_MESSAGE_BYTES + 1);
        let mut text = decode(long.as_bytes());
        assert_eq!(text.len(), MAX_MESSAGE_BYTES);
        fit(&mut text, 0);
        assert_eq!(text.len(), MAX_MESSAGE_BYTES);
        fit(&mut text, MAX_STORED_BYTES);
        assert_eq!(text.len(), MAX_SHORT_BYTES);
    }
}
