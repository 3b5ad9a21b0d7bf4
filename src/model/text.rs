//! Texts from other systems: truncates and decodes them, and makes invisible characters visible.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value of the `User-Agent` header that the exporter sends.
pub const USER_AGENT: &str = concat!("upkeep_exporter/", env!("CARGO_PKG_VERSION"));

/// The beginning of a text, at most this many bytes, cut between two characters.
pub fn prefix(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Truncates a text to at most this many bytes, between two characters.
pub fn truncate(text: &mut String, max_bytes: usize) {
    text.truncate(prefix(text, max_bytes).len());
}

/// Truncates a text that is longer than this many bytes, and marks the end with an ellipsis.
pub fn ellipsize(text: &mut String, max_bytes: usize) {
    const ELLIPSIS: char = '\u{2026}';
    if text.len() > max_bytes {
        truncate(text, max_bytes.saturating_sub(ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
    }
}

/// Whether a character is invisible or changes how others look: control characters, line separators, and characters that
/// have no width or change the writing direction (Unicode Standard Annex 9). Such characters can make a text look like another.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{061c}' | '\u{feff}')
}

/// A text as one visible line: invisible characters are escaped. A result longer than this many bytes is truncated.
pub fn visible(text: &str, max_bytes: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    for character in text.chars() {
        let start = shown.len();
        match is_invisible(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
        if shown.len() > max_bytes {
            // Do not cut an escape in two.
            shown.truncate(start);
            let ellipsis = '\u{2026}';
            truncate(&mut shown, max_bytes.saturating_sub(ellipsis.len_utf8()));
            shown.push(ellipsis);
            break;
        }
    }
    shown
}

/// Why a text can't be percent-decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// A percent sign without two digits.
    #[error("% must be followed by two hexadecimal digits; write a percent sign as %25")]
    Digits,
    /// The bytes are not a text.
    #[error("the decoded text is not UTF-8")]
    Utf8,
}

/// Decodes percent-encoded text (RFC 3986, section 2.1).
///
/// # Errors
/// When a percent sign has no two hexadecimal digits, or the decoded bytes are not UTF-8.
pub fn percent_decode(text: &str) -> Result<Cow<'_, str>, PercentError> {
    let has_digits = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(has_digits) {
        return Err(PercentError::Digits);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| PercentError::Utf8)
}

/// Decodes a name or value of a form-encoded query (URL Standard, application/x-www-form-urlencoded), where + is a space.
///
/// # Errors
/// Like [`percent_decode`].
pub fn form_decode(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.contains('+') {
        return percent_decode(text);
    }
    let text = text.replace('+', " ");
    percent_decode(&text).map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (max, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "a\u{e9}"), (9, "a\u{e9}b")] {
            let mut text = "a\u{e9}b".to_owned();
            truncate(&mut text, max);
            assert_eq!(text, expected, "{max}");
        }
        for (max, expected) in [(4, "a\u{e9}b"), (3, "\u{2026}"), (2, "\u{2026}")] {
            let mut text = "a\u{e9}b".to_owned();
            ellipsize(&mut text, max);
            assert_eq!(text, expected, "{max}");
        }
    }

    #[test]
    fn invisible_characters_are_escaped() {
        let text = "a\n\u{1b}[31m\u{202e}\u{2028}\u{e9}\"";
        assert_eq!(visible(text, 100), "a\\n\\u{1b}[31m\\u{202e}\\u{2028}\u{e9}\"");
        assert_eq!(visible("abcdef", 6), "abcdef");
        assert_eq!(visible("abcdefg", 6), "abc\u{2026}");
        assert_eq!(visible("ab\u{202e}", 6), "ab\u{2026}");
    }

    #[test]
    fn percent_encoding_is_decoded_or_rejected() {
        assert_eq!(percent_decode("a%20b+c").as_deref(), Ok("a b+c"));
        assert_eq!(form_decode("a%20b+c").as_deref(), Ok("a b c"));
        assert_eq!(form_decode("a%2bc").as_deref(), Ok("a+c"));
        for wrong in ["%", "%4", "%zz", "a%", "%+f"] {
            assert_eq!(percent_decode(wrong), Err(PercentError::Digits), "{wrong}");
        }
        assert_eq!(percent_decode("%ff"), Err(PercentError::Utf8));
    }
}
