//! Texts from the machine in YAML. They are untrusted: names of programs, descriptions of units, messages of servers.

use crate::model::{ellipsize, is_invisible};

/// The longest comment, in bytes.
const MAX_COMMENT: usize = 400;

/// A text as a YAML scalar in double quotes. JSON strings are such scalars (YAML 1.2, section 1.2).
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// A text that fits in one line: without characters that are invisible or end a line, and not too long.
pub fn line(text: &str, max_bytes: usize) -> String {
    let visible = |c: char| if is_invisible(c) || c.is_control() { ' ' } else { c };
    let mut text: String = text.chars().map(visible).collect();
    ellipsize(&mut text, max_bytes);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text for a comment.
pub fn comment(text: &str) -> String {
    line(text, MAX_COMMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_in_one_line() {
        assert_eq!(quote("a\"b\\x2d\n"), r#""a\"b\\x2d\n""#);
        assert_eq!(comment("a\n- kind: x\u{202e}\u{7}  b"), "a - kind: x b");
        assert!(comment(&"ä".repeat(1000)).len() <= MAX_COMMENT);
    }
}
