//! Words that reverse the meaning of a key: `fail_if_body_matches_regexp` and `fail_if_body_not_matches_regexp` are similar, but
//! each means the opposite of the other. The same holds for `min_workers` and `max_workers`, or `active` and `inactive`.

/// Groups of words that exclude each other. The words of one inner list have the same meaning.
#[rustfmt::skip]
const GROUPS: &[&[&[&str]]] = &[
    &[&["not", "no", "never", "without"]],
    &[&["all", "every"], &["any", "some"], &["none", "neither"]],
    &[&["min", "minimum", "least", "above"], &["max", "maximum", "most", "below"]],
    &[&["enable", "enabled"], &["disable", "disabled"]],
    &[&["allow", "allowed"], &["deny", "denied", "forbid", "forbidden", "reject"]],
    &[&["skip", "ignore", "omit"], &["require", "required"]],
    &[&["before"], &["after"]],
    &[&["up"], &["down"]],
    &[&["start", "started", "starting"], &["stop", "stopped", "stopping"]],
    &[&["include", "included"], &["exclude", "excluded"]],
    &[&["success", "successes", "succeed", "succeeded"], &["failure", "failures", "fail", "failed"]],
    &[&["first"], &["last"]],
    &[&["warning", "warn"], &["critical"]],
    &[&["ip4", "ipv4", "inet4", "v4"], &["ip6", "ipv6", "inet6", "v6"]],
    &[&["read"], &["write"]],
    &[&["on"], &["off"]],
];

/// Prefixes that change the meaning of a word: `inactive`, `unhealthy`, `disconnect`, `recheck`, `nofollow`.
const PREFIXES: [&str; 9] = ["un", "in", "im", "dis", "non", "mis", "re", "no", "not"];

/// The shortest word that a prefix can reverse, in bytes.
const MIN_REVERSED: usize = 4;

/// The word in lower case, without separators.
pub(super) fn squeeze(word: &str) -> String {
    let letters = word.chars().filter(|letter| !matches!(letter, '_' | '-' | '.'));
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The length of the word without separators, in bytes.
pub(super) fn squeezed_length(word: &str) -> usize {
    word.bytes()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b'.'))
        .count()
}

/// The parts of a key in lower case: `fail_if_ssl`, `fail-if-ssl` and `failIfSsl` have the same parts.
pub(super) fn tokens(key: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut current = String::new();
    let mut is_after_lower = false;
    for letter in key.chars() {
        let is_separator = matches!(letter, '_' | '-' | '.');
        if (is_separator || is_after_lower && letter.is_ascii_uppercase()) && !current.is_empty() {
            tokens.push(std::mem::take(&mut current));
        }
        if !is_separator {
            current.push(letter.to_ascii_lowercase());
        }
        is_after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    if !current.is_empty() {
        tokens.push(current);
    }
    tokens
}

/// Whether `candidate` can't be the opposite of what `word`, which may be misspelt, stands for.
pub(super) fn has_same_direction(word: &str, candidate: &str) -> bool {
    let (written, other) = (tokens(word), tokens(candidate));
    // failifnotssl: without separators, the words can't be told apart.
    if written.concat() == other.concat() {
        return true;
    }
    let (word, letters) = (written.concat(), other.concat());
    if word.contains("not") && !letters.contains("not") {
        return false;
    }
    let begins_with = |direction: &&str| direction.len() > 1 && word.starts_with(*direction);
    if written.len() == 1 && all_directions().any(|own| begins_with(&own) && !letters.starts_with(own)) {
        return false;
    }
    let extra: Vec<&String> = written.iter().filter(|token| !other.contains(token)).collect();
    let missing: Vec<&String> = other.iter().filter(|token| !written.contains(token)).collect();
    // A direction that only the candidate has must be misspelt in the word.
    let is_misspelt_in_word = |direction: &str| {
        let mut plain = extra.iter().filter(|token| side(token).is_none());
        plain.any(|token| is_typo(token, direction))
    };
    let are_written = missing.iter().all(|token| match side(token) {
        None => true,
        Some(side) => {
            written.iter().any(|own| self::side(own) == Some(side))
                || is_misspelt_in_word(token)
                // minworkrs: a word without separators.
                || matches!(&written[..], [word] if word.contains(token.as_str()))
        }
    });
    // A direction of the word, even if misspelt, must be in the candidate.
    let are_kept = extra.iter().all(|token| match side(token) {
        Some(side) => other.iter().any(|own| self::side(own) == Some(side)),
        None => {
            let mut meant = all_directions()
                .filter(|direction| is_typo(token, direction))
                .peekable();
            let is_other_word = missing
                .iter()
                .any(|other| side(other).is_none() && is_typo(token, other));
            meant.peek().is_none()
                || is_other_word
                || meant.any(|direction| {
                    let meant = side(direction);
                    other.iter().any(|own| side(own) == meant)
                })
        }
    });
    let is_reversed = extra.iter().any(|token| {
        missing
            .iter()
            .any(|other| is_prefixed(token, other) || is_prefixed(other, token))
    });
    are_written && are_kept && !is_reversed
}

/// The group and the side of a word that gives a direction.
fn side(token: &str) -> Option<(usize, usize)> {
    GROUPS.iter().enumerate().find_map(|(group, sides)| {
        let side = sides.iter().position(|words| words.contains(&token))?;
        Some((group, side))
    })
}

fn all_directions() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().copied().flatten().copied().flatten().copied()
}

/// Whether `token` is `word` with one typing error.
fn is_typo(token: &str, word: &str) -> bool {
    token.len().abs_diff(word.len()) <= 1 && strsim::osa_distance(token, word) == 1
}

/// Whether `long` is `short`, perhaps with a typing error, with a prefix that changes its meaning.
fn is_prefixed(long: &str, short: &str) -> bool {
    let mut rests = PREFIXES.iter().filter_map(|prefix| long.strip_prefix(prefix));
    rests.any(|rest| rest.len() >= MIN_REVERSED && strsim::osa_distance(rest, short) <= 1)
}
