//! Texts that come from elsewhere, bounded and seen as what they are.

/// The longest prefix of at most `max_bytes` bytes that ends between two characters.
pub fn prefix(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Truncates a text to at most this many bytes, between two characters.
pub fn cut(text: &mut String, most: usize) {
    text.truncate(prefix(text, most).len());
}

/// Whether a character is not seen, and may change how the others are: control characters, separators of lines, and those
/// that have no width or turn the direction of writing (Unicode Standard Annex 9), which let a text look like another one.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{061c}' | '\u{feff}')
}

/// A text as one line of what is seen: all else is written as escapes. At most this many bytes; more is cut.
pub fn visible(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        let start = shown.len();
        match is_unseen(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
        if shown.len() > most {
            shown.truncate(start);
            let ellipsis = '\u{2026}';
            cut(&mut shown, most.saturating_sub(ellipsis.len_utf8()));
            shown.push(ellipsis);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_between_characters() {
        for (most, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "a\u{e9}"), (9, "a\u{e9}b")] {
            let mut text = "a\u{e9}b".to_owned();
            cut(&mut text, most);
            assert_eq!(text, expected, "{most}");
        }
    }

    #[test]
    fn what_is_not_seen_is_escaped() {
        let text = "a\n\u{1b}[31m\u{202e}\u{2028}\u{e9}\"";
        assert_eq!(visible(text, 100), "a\\n\\u{1b}[31m\\u{202e}\\u{2028}\u{e9}\"");
        assert_eq!(visible("abcdef", 6), "abcdef");
        assert_eq!(visible("abcdefg", 6), "abc\u{2026}");
        assert_eq!(visible("ab\u{202e}", 6), "ab\u{2026}");
    }
}
