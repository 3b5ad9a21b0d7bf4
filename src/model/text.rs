//! Texts that come from elsewhere, bounded.

/// Cuts a text to at most this many bytes, between two characters.
pub fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
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
}
