//! Texts from the machine in YAML. They are untrusted: names of programs, descriptions of units, messages of servers.

use std::fmt::Write;

use crate::model::{ellipsize, is_invisible};

/// The longest comment, in bytes.
const MAX_COMMENT: usize = 400;

/// A text as a YAML scalar in double quotes. JSON strings are such scalars (YAML 1.2, section 1.2), but YAML allows fewer characters
/// without an escape.
pub fn quote(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned());
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        match is_printable(c) {
            true => quoted.push(c),
            // Characters beyond U+FFFF are printable, so four digits are enough. Writing to a String can't fail.
            false => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
        }
    }
    quoted
}

/// A regular expression that matches exactly this text. `regex::escape` escapes more: what has a meaning only in classes or with flags.
pub fn literal(text: &str) -> String {
    let mut expression = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | '{' | '^' | '$'
        ) {
            expression.push('\\');
        }
        expression.push(c);
    }
    expression
}

/// Whether YAML allows a character without an escape (YAML 1.2, section 5.1), and no version of YAML ends a line at it.
const fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A text that fits in one line: without characters that are invisible or end a line, and not too long.
pub fn line(text: &str, max_bytes: usize) -> String {
    let visible = |c: char| match is_invisible(c) || !is_printable(c) {
        true => ' ',
        false => c,
    };
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
    use proptest::prelude::*;

    use super::*;
    use crate::config::pattern::Pattern;

    fn matches(expression: &str, text: &str) -> bool {
        let pattern = Pattern::new(&format!(r"\A(?:{expression})\z"));
        pattern.is_ok_and(|pattern| pattern.is_match(text.as_bytes()))
    }

    #[test]
    fn only_operators_are_escaped() {
        assert_eq!(literal("my-app/main.py:#&~]}"), r"my-app/main\.py:#&~]}");
        for c in (' '..='~').filter(|c| literal(&c.to_string()).len() > 1) {
            // An operator after a letter, as a repetition, before a letter, and between two.
            let texts = [
                format!("a{c}"),
                format!("a{c}2}}"),
                format!("{c}a"),
                format!("a{c}b"),
            ];
            let is_plain = |text: &String| matches(text, text) && !matches(text, &text.replace(c, "x"));
            assert!(!texts.iter().all(is_plain), "{c} needs no escape");
        }
    }

    /// Texts of few parts with a meaning in expressions, so that two of them are often nearly the same.
    fn operators() -> impl Strategy<Value = String> {
        const PARTS: [&str; 26] = [
            "a", "aa", "b", "7", "{2}", "{", "}", ".", "+", "*", "?", "(", ")", "|", "[a]", "]", "^", "$",
            r"\", r"\d", "-", "/", "#", "&&", "~~", " ",
        ];
        proptest::collection::vec(proptest::sample::select(&PARTS[..]), 0..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_literal_matches_its_text_and_no_other(
            text in prop_oneof![operators(), any::<String>()],
            other in operators(),
            at in 0_usize..6,
        ) {
            let expression = literal(&text);
            prop_assert!(matches(&expression, &text), "{expression}");
            let mut changed: Vec<char> = text.chars().collect();
            changed.truncate(at);
            for other in [other, changed.into_iter().collect()] {
                prop_assert_eq!(matches(&expression, &other), other == text, "{} and {}", expression, other);
            }
        }
    }

    #[test]
    fn texts_stay_in_one_line() {
        assert_eq!(quote("a\"b\\x2d\n"), r#""a\"b\\x2d\n""#);
        assert_eq!(
            quote("\u{fffe}\u{7f}\u{85}\u{2028}\u{1f600}ä"),
            "\"\\ufffe\\u007f\\u0085\\u2028\u{1f600}ä\""
        );
        assert_eq!(comment("a\u{ffff}b"), "a b");
        assert_eq!(comment("a\n- kind: x\u{202e}\u{7}  b"), "a - kind: x b");
        assert!(comment(&"ä".repeat(1000)).len() <= MAX_COMMENT);
    }

    #[test]
    fn quoted_texts_are_read_as_they_were() {
        for code in (0..0x11_0000).step_by(7).chain(0..0x1_0000) {
            let Some(c) = char::from_u32(code) else { continue };
            let text = format!("a{c}b");
            let line = format!("{} # {}\n", quote(&text), comment(&text));
            let read: String =
                serde_yaml::from_str(&line).unwrap_or_else(|error| panic!("{code:x}: {error}"));
            assert_eq!(read, text, "{code:x}");
        }
    }
}
