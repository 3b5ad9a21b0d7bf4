//! "Did you mean": suggests known words for an unknown one. A suggestion never has the opposite meaning (`opposites`).

use super::opposites::{has_same_direction, squeeze, squeezed_length, tokens};
use super::place::is_plain_key;
use super::renamed;

/// The maximum number of known words that are listed if none is similar.
const MAX_LISTED: usize = 40;

/// The maximum number of equally similar words that are suggested. More are no help.
const MAX_SIMILAR: usize = 3;

/// The shortest word that is recognized as the beginning of another one, in bytes.
const MIN_PREFIX: usize = 3;

/// Words that users add to the names of keys. They do not change the meaning.
#[rustfmt::skip]
const FILLERS: &[&str] = &[
    "config", "count", "expr", "in", "is", "list", "millis", "milliseconds", "minutes", "ms", "msec", "name", "num",
    "number", "of", "option", "options", "opts", "path", "pattern", "patterns", "re", "regex", "regexp", "sec", "second",
    "seconds", "secs", "setting", "string", "the", "value",
];

/// The message for an unknown key: the key that replaces it, the most similar known keys, or all of them. The key itself is in
/// the path.
pub fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(advice) = renamed::advice(key, known.clone()) {
        return format!("unknown key: {advice}");
    }
    let mut near = similar(key, known.clone());
    if near.is_empty() {
        near = with_same_tokens(key, known.clone());
    }
    format!("unknown key: {}", advice(&near, known))
}

/// The message for a word that is not in `known`: the most similar known words, or all of them. A word that does not look like
/// a key is not quoted: it may be a misplaced secret.
pub fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let quoted = if is_plain_key(word) {
        format!(" {word}")
    } else {
        String::new()
    };
    let near = match similar(word, known.clone()) {
        near if near.is_empty() => with_same_beginning(word, known.clone()),
        near => near,
    };
    format!("unknown {what}{quoted}: {}", advice(&near, known))
}

/// The message for a word that may be in a file with errors, so that it is ignored.
pub fn maybe_missing(what: &str) -> String {
    format!("unknown {what}: ignored, because it may be in a file with errors")
}

fn advice<'a>(near: &[&str], known: impl Iterator<Item = &'a str>) -> String {
    match near {
        [] => {
            let mut words: Vec<_> = known.take(MAX_LISTED).collect();
            words.sort_unstable();
            // "kind" is in several lists of keys.
            words.dedup();
            format!("write one of {}", words.join(", "))
        }
        near => format!("did you mean {}?", either(near)),
    }
}

/// `a`, `a or b`, `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [first @ .., before, last] => {
            let mut text: String = first.iter().map(|word| format!("{word}, ")).collect();
            text.push_str(&format!("{before} or {last}"));
            text
        }
        words => words.concat(),
    }
}

/// The most similar known word, if one is similar and no other one is equally similar.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    match similar(word, known)[..] {
        [near] => Some(near),
        _ => None,
    }
}

/// The known words with the fewest typing errors, at most [`MAX_SIMILAR`]. Case, hyphens and underscores do not count.
fn similar<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // A long word is not a misspelt key, and the time of a comparison grows with the square of the length.
    if !is_plain_key(word) {
        return Vec::new();
    }
    let letters = squeeze(word);
    let scored = known.filter_map(|candidate| {
        let length = squeezed_length(candidate);
        let allowed = allowed_errors(letters.len().max(length));
        if letters.len().abs_diff(length) > allowed {
            return None;
        }
        let other = squeeze(candidate);
        let errors = strsim::osa_distance(&letters, &other);
        (errors <= allowed && has_same_direction(word, candidate)).then_some((errors, candidate))
    });
    best(scored)
}

/// The number of typing errors that a word of this length may have.
fn allowed_errors(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// The candidates with the lowest score. None if there are more than [`MAX_SIMILAR`].
fn best<'a>(scored: impl Iterator<Item = (usize, &'a str)>) -> Vec<&'a str> {
    let mut lowest = usize::MAX;
    let mut found = Vec::new();
    for (score, candidate) in scored {
        if score < lowest {
            lowest = score;
            found.clear();
        }
        if score == lowest && !found.contains(&candidate) && found.len() <= MAX_SIMILAR {
            found.push(candidate);
        }
    }
    if found.len() > MAX_SIMILAR {
        found.clear();
    }
    found.sort_unstable();
    found
}

/// The known keys that consist of the same words, except for [`FILLERS`] in the unknown key and more words in the known key.
fn with_same_tokens<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if !is_plain_key(key) {
        return Vec::new();
    }
    let written = tokens(key);
    let is_distinct = written.len() > 1 || written.iter().any(|token| token.len() > 4);
    let scored = known.filter_map(|candidate| {
        let other = tokens(candidate);
        let missing = |from: &[String], tokens: &[String]| -> Vec<String> {
            let is_missing = |token: &&String| !tokens.iter().any(|other| is_same(token, other));
            from.iter().filter(is_missing).cloned().collect()
        };
        let extra = missing(&written, &other);
        let more = missing(&other, &written);
        let is_candidate = match (extra.is_empty(), more.is_empty()) {
            (true, _) => is_distinct,
            (false, true) => extra.iter().all(|token| FILLERS.contains(&token.as_str())),
            (false, false) => false,
        };
        (is_candidate && has_same_direction(key, candidate)).then_some((extra.len() + more.len(), candidate))
    });
    best(scored)
}

/// Whether two parts of keys are the same word, perhaps with one typing error.
fn is_same(one: &str, other: &str) -> bool {
    one == other || one.len().min(other.len()) > 3 && strsim::osa_distance(one, other) <= 1
}

/// The known words that begin with `word`, or that `word` begins with.
fn with_same_beginning<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if !is_plain_key(word) || word.len() < MIN_PREFIX {
        return Vec::new();
    }
    let word = word.to_ascii_lowercase();
    let scored = known.filter_map(|candidate| {
        let is_prefix =
            candidate.starts_with(&word) || candidate.len() >= MIN_PREFIX && word.starts_with(candidate);
        (is_prefix && has_same_direction(&word, candidate)).then_some((0, candidate))
    });
    best(scored)
}

#[cfg(test)]
mod tests;
