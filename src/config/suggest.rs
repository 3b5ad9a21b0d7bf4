//! "Did you mean": the nearest of the words that would be right.

use super::yaml::is_plain_key;

/// How many words are listed where none is near.
const MAX_LISTED: usize = 40;

/// The message for an unknown key: the nearest of the known ones, or all of them. The key itself is in the path.
pub fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    format!("unknown key: {}", advice(key, known))
}

/// The message for a word that is none of `known`: the nearest of them, or all of them. A word that does not have the
/// form of a key is not quoted: it may be a secret in a wrong place.
pub fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let quoted = if is_plain_key(word) {
        format!(" {word}")
    } else {
        String::new()
    };
    format!("unknown {what}{quoted}: {}", advice(word, known))
}

fn advice<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let mut words: Vec<_> = known.take(MAX_LISTED).collect();
            words.sort_unstable();
            // Every check has a key "kind", and so does each piece of it.
            words.dedup();
            format!("known here are {}", words.join(", "))
        }
    }
}

/// The word of `known` that `word` most probably was meant to be.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Long words are no slips of the pen, and comparing takes the square of the length.
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
    fn slips_are_recognized_and_strange_words_are_not() {
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
            "unknown value: known here are interval, recheck_interval, thresholds, timeout, url"
        );
    }
}
