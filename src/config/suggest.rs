//! "Did you mean": suggests a known word for an unknown one.

use super::place::is_plain_key;

/// The maximum number of known words that are listed if none is similar.
const MAX_LISTED: usize = 40;

/// The message for an unknown key: the most similar known key, or all of them. The key itself is in the path.
pub fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    format!("unknown key: {}", advice(key, known))
}

/// The message for a word that is not in `known`: the most similar known word, or all of them. A word that does not look like
/// a key is not quoted: it may be a misplaced secret.
pub fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let quoted = if is_plain_key(word) {
        format!(" {word}")
    } else {
        String::new()
    };
    format!("unknown {what}{quoted}: {}", advice(word, known))
}

/// The message for a word that may be in a file with errors, so that it is ignored.
pub fn maybe_missing(what: &str) -> String {
    format!("unknown {what}: ignored, because it may be in a file with errors")
}

fn advice<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let mut words: Vec<_> = known.take(MAX_LISTED).collect();
            words.sort_unstable();
            // "kind" is in several lists of keys.
            words.dedup();
            format!("write one of {}", words.join(", "))
        }
    }
}

/// The most similar known word, if any is similar.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is not a misspelt key, and the time of a comparison grows with the square of the length.
    if !is_plain_key(word) {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    known
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 3)
        .map(|candidate| {
            let folded = candidate.to_ascii_lowercase().replace('-', "_");
            (strsim::jaro_winkler(&word, &folded), candidate)
        })
        .filter(|(score, _)| *score >= 0.85)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["interval", "timeout", "thresholds", "recheck_interval", "url"];

    #[test]
    fn misspelt_words_are_recognized_and_other_words_are_not() {
        for (word, near) in [
            ("tiemout", Some("timeout")),
            ("recheck-interval", Some("recheck_interval")),
            ("Interval", Some("interval")),
            ("urls", Some("url")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, KNOWN.into_iter()), near, "{word}");
        }
    }

    #[test]
    fn a_word_that_may_be_a_secret_is_not_quoted() {
        let message = unknown("value", "password hunter2", KNOWN.into_iter());
        assert_eq!(
            message,
            "unknown value: write one of interval, recheck_interval, thresholds, timeout, url"
        );
    }
}
