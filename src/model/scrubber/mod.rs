//! Hides the secrets that a run used in its results: a target may return them, plain or encoded.
//!
//! A secret is found in any letter case, with any of its characters percent-encoded, escaped with backslashes or as HTML entities; in
//! base64, even inside a longer text; and in hexadecimal digits. If the text was truncated, the beginning of a secret is found too.
//! See [`needles`] for the parts of a longer secret.

mod needles;
mod reading;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::needles::Needle;
use self::reading::Reading;

/// The replacement for a secret.
pub const HIDDEN: &str = "<secret>";
/// The shortest beginning of a secret that is hidden before an ellipsis, in characters. The ellipsis marks a truncated text.
const MIN_MARKED: usize = 3;
/// The same at the end of the text or of a quote, which may be truncated without a mark.
const MIN_UNMARKED: usize = 6;
/// Password proofs, from which a password can be guessed offline: the mark and the minimum number of characters after it. 32
/// hexadecimal digits of MD5 (`md5...`, PostgreSQL protocol, section 55.3), 43 characters of base64 for SCRAM-SHA-256 (`,p=...`,
/// RFC 5802, section 7).
const PROOFS: [(&str, usize); 2] = [("md5", 32), (",p=", 43)];

/// Replaces secrets in texts.
pub struct Scrubber {
    needles: Vec<Needle>,
}

impl Scrubber {
    /// A scrubber for these secrets. Words of `target` are public and stay, such as a host that is also part of a secret.
    pub fn new<'s>(secrets: impl Iterator<Item = &'s str>, target: &str) -> Self {
        Self {
            needles: needles::needles(secrets, target),
        }
    }

    /// Replaces the secrets in a text.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut is_hidden = vec![false; text.len()];
        let reading = Reading::new(text);
        for start in reading.starts() {
            for needle in &self.needles {
                if let Some((start, end)) = find(needle, &reading, start) {
                    is_hidden[start..end].fill(true);
                }
            }
        }
        for (mark, min) in PROOFS {
            for (start, _) in text.match_indices(mark) {
                let start = start + mark.len();
                let length = text[start..]
                    .bytes()
                    .take_while(|byte| needles::is_base64(*byte))
                    .count();
                if length >= min {
                    is_hidden[start..start + length].fill(true);
                }
            }
        }
        if !is_hidden.contains(&true) {
            return Cow::Borrowed(text);
        }
        let mut scrubbed = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, character) in text.char_indices() {
            match (is_hidden[at], was_hidden) {
                (true, false) => scrubbed.push_str(HIDDEN),
                (true, true) => {}
                (false, _) => scrubbed.push(character),
            }
            was_hidden = is_hidden[at];
        }
        Cow::Owned(scrubbed)
    }
}

/// The range to hide if the needle begins at `start`.
fn find(needle: &Needle, reading: &Reading<'_>, start: usize) -> Option<(usize, usize)> {
    let text = reading.text();
    // Encodings have different lengths, so a part of the needle may end at several positions.
    let (mut ends, mut next) = (vec![start], Vec::new());
    for (index, wanted) in needle.characters.iter().enumerate() {
        next.clear();
        for end in &ends {
            for (character, after) in reading.at(*end) {
                if needle.is_same(*wanted, *character) && !next.contains(after) {
                    next.push(*after);
                }
            }
        }
        if next.is_empty() {
            if index == 0 {
                return None;
            }
            let end = ends.into_iter().max()?;
            if needles::is_open_word(&text[start..end]) {
                return None;
            }
            let min = match text[end..].chars().next() {
                _ if needle.is_word => return None,
                Some('\u{2026}') => MIN_MARKED,
                None | Some('"' | '\'' | ')' | ',' | ':' | ';') => {
                    MIN_UNMARKED.min(needle.characters.len() - 1)
                }
                // The text is truncated within an encoded character.
                Some('%' | '\\' | '&') if text[end..].chars().count() <= 3 => MIN_MARKED,
                Some('%' | '\\' | '&') if text[end..].contains('\u{2026}') && text[end..].len() < 10 => {
                    MIN_MARKED
                }
                Some(_) => return None,
            };
            return (index >= min).then(|| needle.widen(text, start, end));
        }
        std::mem::swap(&mut ends, &mut next);
    }
    let end = ends.into_iter().max()?;
    let is_inside = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let is_part = is_inside(text[..start].chars().next_back()) || is_inside(text[end..].chars().next());
    (!needle.is_word || !is_part).then(|| needle.widen(text, start, end))
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}
