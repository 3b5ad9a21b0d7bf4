//! Suggestions for misspelt keys, old names, and names with the opposite meaning.

use std::collections::BTreeSet;

use super::*;
use crate::config::schema;
use serde_json::Value;

const KNOWN: [&str; 5] = ["interval", "timeout", "thresholds", "recheck_interval", "url"];

#[test]
fn misspelt_words_are_recognized_and_other_words_are_not() {
    for (word, near) in [
        ("tiemout", Some("timeout")),
        ("recheck-interval", Some("recheck_interval")),
        ("recheckInterval", Some("recheck_interval")),
        ("Interval", Some("interval")),
        ("urls", Some("url")),
        ("check_interval", None),
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

#[test]
fn equally_similar_words_are_all_suggested() {
    let known = ["ca_file", "min_size", "max_size"];
    assert_eq!(
        unknown_key("mix_size", known.into_iter()),
        "unknown key: did you mean max_size or min_size?"
    );
    assert_eq!(nearest("mix_size", known.into_iter()), None);
    assert_eq!(either(&["a", "b", "c"]), "a, b or c");
}

#[test]
fn a_suggestion_never_reverses_the_meaning() {
    for (word, known) in [
        ("fail_if_not_matches", "fail_if_matches"),
        ("fail_if_matches", "fail_if_not_matches"),
        ("fail_if_nto_ssl", "fail_if_ssl"),
        ("fail_if_nt_ssl", "fail_if_ssl"),
        ("failifnotssl", "fail_if_ssl"),
        ("fail_if_none_matches", "fail_if_all_matches"),
        ("memory_above", "memory_below"),
        ("max_workers", "min_workers"),
        ("mx_workers", "min_workers"),
        ("failures_before_up", "failures_before_down"),
        ("failures_before_up", "successes_before_up"),
        ("unhealthy", "healthy"),
        ("inactiv", "active"),
        ("secure_skip_verify", "insecure_skip_verify"),
        ("check_interval", "recheck_interval"),
        ("enabled", "disabled"),
        ("ip6", "ip4"),
        ("not_before", "not_after"),
        ("include", "exclude"),
    ] {
        let message = unknown_key(word, [known].into_iter());
        assert_eq!(message, format!("unknown key: write one of {known}"), "{word}");
        let message = unknown("word", word, [known].into_iter());
        assert_eq!(message, format!("unknown word {word}: write one of {known}"));
    }
}

/// The keys of every mapping of the configuration.
fn mappings() -> BTreeSet<Vec<String>> {
    fn collect(part: &Value, found: &mut BTreeSet<Vec<String>>) {
        match part {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    found.insert(properties.keys().cloned().collect());
                }
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&schema::document(), &mut found);
    found
}

/// The words of a key that decide its direction, written down apart from the code that is tested.
const DIRECTIONS: &[(&str, &str)] = &[
    ("not", "not"),
    ("no", "not"),
    ("without", "not"),
    ("never", "not"),
    ("none", "none"),
    ("all", "all"),
    ("any", "any"),
    ("min", "least"),
    ("above", "least"),
    ("max", "most"),
    ("below", "most"),
    ("before", "before"),
    ("after", "after"),
    ("up", "up"),
    ("down", "down"),
    ("successes", "success"),
    ("failures", "failure"),
    ("failure", "failure"),
    ("fail", "failure"),
    ("allow", "allow"),
    ("deny", "deny"),
    ("enable", "enable"),
    ("enabled", "enable"),
    ("disable", "disable"),
    ("disabled", "disable"),
    ("start", "start"),
    ("stop", "stop"),
    ("include", "include"),
    ("exclude", "exclude"),
    ("skip", "skip"),
    ("require", "require"),
    ("insecure", "insecure"),
    ("secure", "secure"),
    ("recheck", "recheck"),
    ("critical", "critical"),
    ("warning", "warning"),
];

/// The meanings of these words in a key, and its other words.
fn direction(key: &str) -> (BTreeSet<&'static str>, BTreeSet<&str>) {
    let meaning = |token: &str| {
        DIRECTIONS
            .iter()
            .find(|(word, _)| *word == token)
            .map(|(_, meaning)| *meaning)
    };
    let (directions, others): (Vec<&str>, Vec<&str>) =
        key.split('_').partition(|token| meaning(token).is_some());
    (
        directions.into_iter().filter_map(meaning).collect(),
        others.into_iter().collect(),
    )
}

/// Whether two keys are about the same thing, but differ in their direction.
fn is_reversed(one: &str, other: &str) -> bool {
    let ((direction, rest), (other_direction, other_rest)) = (direction(one), direction(other));
    direction != other_direction && is_related(&rest, &other_rest)
}

fn is_related(rest: &BTreeSet<&str>, other: &BTreeSet<&str>) -> bool {
    !rest.is_disjoint(other) || rest.is_empty() && other.is_empty()
}

/// `key` with one typing error each.
fn typos(key: &str) -> Vec<String> {
    let mut typos = vec![key.replace('_', "-"), key.replace('_', ""), key.to_uppercase()];
    let letters: Vec<char> = key.chars().collect();
    for position in 0..letters.len() {
        let edit = |change: &dyn Fn(&mut Vec<char>)| {
            let mut letters = letters.clone();
            change(&mut letters);
            letters.into_iter().collect::<String>()
        };
        typos.push(edit(&|letters| {
            letters.remove(position);
        }));
        typos.push(edit(&|letters| letters.insert(position, letters[position])));
        typos.push(edit(&|letters| letters[position] = 'x'));
        if position > 0 {
            typos.push(edit(&|letters| letters.swap(position - 1, position)));
        }
    }
    typos
}

/// `key` with another meaning: with "not" or without it, and with each direction replaced by its opposite.
fn reversed(key: &str) -> Vec<String> {
    let tokens: Vec<&str> = key.split('_').collect();
    let mut found = Vec::new();
    for position in 0..=tokens.len() {
        let mut more = tokens.clone();
        more.insert(position, "not");
        found.push(more.join("_"));
    }
    let opposites = [
        ("not", ""),
        ("no", ""),
        ("min", "max"),
        ("max", "min"),
        ("above", "below"),
        ("below", "above"),
        ("up", "down"),
        ("down", "up"),
        ("before", "after"),
        ("successes", "failures"),
        ("failures", "successes"),
        ("all", "none"),
        ("none", "all"),
        ("all", "any"),
        ("enable", "disable"),
        ("allow", "deny"),
        ("start", "stop"),
        ("insecure", "secure"),
        ("recheck", "check"),
        ("exclude", "include"),
        ("skip", "require"),
    ];
    for (word, opposite) in opposites {
        if tokens.contains(&word) {
            let other = tokens
                .iter()
                .map(|token| if *token == word { opposite } else { token });
            found.push(
                other
                    .filter(|token| !token.is_empty())
                    .collect::<Vec<_>>()
                    .join("_"),
            );
        }
    }
    found
}

fn suggestions<'a>(word: &str, known: &'a [String]) -> Vec<&'a str> {
    let known = known.iter().map(String::as_str);
    if renamed::advice(word, known.clone()).is_some() {
        return Vec::new();
    }
    match similar(word, known.clone()) {
        near if near.is_empty() => with_same_tokens(word, known),
        near => near,
    }
}

/// The number of mappings in which a word is tested. Most keys are in fewer; those of every check are in 20 similar ones.
const MAPPINGS: usize = 5;

/// Checks the suggestions for words that are made of `key`, in mappings that have it or a related key. Each word has this meaning, or its
/// own.
fn assert_not_reversed(key: &str, words: &[String], meaning: Option<&str>, mappings: &BTreeSet<Vec<String>>) {
    let rest = direction(key).1;
    let is_related = |known: &String| is_related(&rest, &direction(known).1);
    let mut related: Vec<_> = mappings
        .iter()
        .filter(|known| known.iter().any(is_related))
        .collect();
    related.sort_by_key(|known| !known.iter().any(|known| known == key));
    for known in related.into_iter().take(MAPPINGS) {
        for word in words.iter().filter(|word| !known.contains(word)) {
            let meaning = meaning.unwrap_or(word);
            let suggestions = suggestions(word, known);
            // One wrong letter may be equally close to "not" and "none": then both are suggested.
            if suggestions.contains(&meaning) {
                continue;
            }
            for suggestion in suggestions {
                let is_synonym = (meaning, suggestion) == ("skip_verify", "insecure_skip_verify");
                assert!(
                    is_synonym || !is_reversed(suggestion, meaning),
                    "{word}, which means {meaning}: did you mean {suggestion}?"
                );
            }
        }
    }
}

#[test]
fn no_key_gets_a_suggestion_that_reverses_its_meaning() {
    let mappings = mappings();
    let mut keys: BTreeSet<String> = mappings.iter().flatten().cloned().collect();
    assert!(
        mappings.len() > 50 && keys.len() > 200,
        "{} {}",
        mappings.len(),
        keys.len()
    );
    keys.extend(renamed::rows().flat_map(|(names, _, _)| names.iter().map(|name| (*name).to_owned())));
    let mut count = 0;
    for key in &keys {
        let reversed = reversed(key);
        assert_not_reversed(key, &reversed, None, &mappings);
        count += reversed.len();
        if !direction(key).0.is_empty() {
            let typos = typos(key);
            assert_not_reversed(key, &typos, Some(key), &mappings);
            count += typos.len();
        }
    }
    assert!(count > 3000, "{count} words");
}

#[test]
fn most_misspelt_keys_are_recognized() {
    let (mut found, mut total) = (0, 0);
    let mut seen = BTreeSet::new();
    for known in mappings() {
        for key in known.iter().filter(|key| key.len() >= 5) {
            if !seen.insert(key.clone()) {
                continue;
            }
            for word in typos(key).iter().filter(|word| !known.contains(word)) {
                total += 1;
                found += usize::from(suggestions(word, &known).contains(&key.as_str()));
            }
        }
    }
    assert!(found * 100 >= total * 97, "{found} of {total}");
}

#[test]
fn other_names_lead_to_keys_that_exist() {
    let mappings = mappings();
    for (names, key, is_plain) in renamed::rows() {
        let with_key: Vec<_> = mappings
            .iter()
            .filter(|known| known.iter().any(|known| known == key))
            .collect();
        assert!(!with_key.is_empty(), "no mapping has the key {key}");
        for name in names {
            let is_unknown = |known: &&Vec<String>| !known.iter().any(|known| known == name);
            assert!(with_key.iter().any(is_unknown), "{name} is a key everywhere");
            if is_plain {
                assert_eq!(direction(name).0, direction(key).0, "{name} needs an explanation");
            }
        }
    }
}

#[test]
fn old_names_get_the_new_ones() {
    let mappings = mappings();
    let having = |keys: &[&str]| {
        let has = |known: &&Vec<String>| keys.iter().all(|key| known.iter().any(|known| known == key));
        mappings.iter().find(has).unwrap()
    };
    let http = having(&["valid_status_codes", "fail_if_ssl", "kind"]);
    let service = having(&["key", "checks", "depends_on"]);
    for (known, word, message) in [
        (
            http,
            "fail_if_matches_regexp",
            "write fail_if_body_matches_regexp instead",
        ),
        (
            http,
            "fail_if_not_matches_regexp",
            "write fail_if_body_not_matches_regexp instead",
        ),
        (
            http,
            "fail_if_header_matches_regexp",
            "write fail_if_header_matches instead",
        ),
        (
            http,
            "fail_if_header_not_matches_regexp",
            "write fail_if_header_not_matches instead",
        ),
        (http, "auth", "write basic_auth or authorization instead"),
        (
            http,
            "maxretries",
            "write failures_before_down instead (the number of failed runs in a row, which is 1 more than \
                              the retries)",
        ),
        (
            http,
            "keyword",
            "write fail_if_body_not_matches_regexp instead (a regular expression that the body must match)",
        ),
        (
            http,
            "verify_ssl",
            "certificates are verified; tls_config: { insecure_skip_verify: true } turns that off",
        ),
        (service, "expectedStatus", "write expected_http instead"),
        (
            service,
            "retry-interval",
            "write recheck_interval instead (with a unit, such as 5s)",
        ),
        (service, "paused", "write enabled: false to turn it off"),
        (service, "group_name", "did you mean group?"),
    ] {
        let found = unknown_key(word, known.iter().map(String::as_str));
        assert_eq!(found, format!("unknown key: {message}"), "{word}");
    }
}
