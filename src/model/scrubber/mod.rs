//! Hides the secrets that a run used in the texts that leave it: a target may give them back, as they are or encoded.
//!
//! Hidden is each secret in any letter case, with any of its characters percent-encoded, escaped by backslashes or as an entity
//! of HTML; in base64 (also inside of something longer) and in hexadecimal digits; and the beginning of one of these where the
//! text is cut. See [`needles`] for the parts of a longer secret.

mod needles;
mod reading;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::needles::Needle;
use self::reading::Reading;

/// What stands in a secret's place.
pub const HIDDEN: &str = "<secret>";
/// The shortest beginning of a secret that is hidden before an ellipsis, which marks a cut, in characters.
const MIN_MARKED: usize = 3;
/// The same where the text ends, or a quote of the target's words may have been cut without a mark.
const MIN_UNMARKED: usize = 6;
/// The fewest characters of a proof of a password, from which it can be guessed without asking the server: 32 hexadecimal digits
/// of MD5 (`md5...`, PostgreSQL's protocol, section 55.3), 43 of base64 for SCRAM-SHA-256 (`,p=...`, RFC 5802, section 7).
const PROOFS: [(&str, usize); 2] = [("md5", 32), (",p=", 43)];

/// Hides secrets.
pub struct Scrubber {
    needles: Vec<Needle>,
}

impl Scrubber {
    /// One that hides these secrets. What `target` says in public stays, such as a host that a secret names too.
    pub fn new<'s>(secrets: impl Iterator<Item = &'s str>, target: &str) -> Self {
        Self {
            needles: needles::of(secrets, target),
        }
    }

    /// The text without the secrets.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut is_hidden = vec![false; text.len()];
        let reading = Reading::new(text);
        for start in reading.starts() {
            for needle in &self.needles {
                if let Some((start, end)) = found(needle, &reading, start) {
                    is_hidden[start..end].fill(true);
                }
            }
        }
        for (mark, least) in PROOFS {
            for (start, _) in text.match_indices(mark) {
                let start = start + mark.len();
                let length = text[start..].bytes().take_while(|byte| is_base64(*byte)).count();
                if length >= least {
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

/// Where a needle that begins at `start` is to be hidden.
fn found(needle: &Needle, reading: &Reading<'_>, start: usize) -> Option<(usize, usize)> {
    let text = reading.text();
    // Encodings differ in length, so a part of the needle may end at several places.
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
            let least = match text[end..].chars().next() {
                _ if needle.is_word => return None,
                Some('\u{2026}') => MIN_MARKED,
                None | Some('"' | '\'' | ')' | ',' | ':' | ';') => {
                    MIN_UNMARKED.min(needle.characters.len() - 1)
                }
                // A cut through an encoded character.
                Some('%' | '\\' | '&') if text[end..].chars().count() <= 3 => MIN_MARKED,
                Some('%' | '\\' | '&') if text[end..].contains('\u{2026}') && text[end..].len() < 10 => {
                    MIN_MARKED
                }
                Some(_) => return None,
            };
            return (index >= least).then(|| needle.widened(text, start, end));
        }
        std::mem::swap(&mut ends, &mut next);
    }
    let end = ends.into_iter().max()?;
    let is_inside = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let is_part = is_inside(text[..start].chars().next_back()) || is_inside(text[end..].chars().next());
    (!needle.is_word || !is_part).then(|| needle.widened(text, start, end))
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}
