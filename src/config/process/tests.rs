//! Tests of the options of process checks and their errors.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::config::place::Finding;

fn resolve(json: &str) -> (Result<ProcessSettings, Invalid>, Vec<Finding>) {
    let findings = RefCell::new(Vec::new());
    let options: ProcessOptions = serde_json::from_str(json).unwrap();
    let settings = options.resolve(&Place::root(&findings).field("check"));
    (settings, findings.into_inner())
}

fn resolved(json: &str) -> ProcessSettings {
    let (settings, findings) = resolve(json);
    assert_eq!(findings, []);
    settings.unwrap()
}

/// The errors of invalid options, as `path: message`.
fn errors(json: &str) -> Vec<String> {
    let (settings, findings) = resolve(json);
    assert_eq!(settings, Err(Invalid));
    assert!(findings.iter().all(|finding| finding.is_error));
    findings
        .iter()
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect()
}

#[test]
fn a_string_or_a_list_and_the_defaults() {
    let one = resolved(r#"{"match": "nginx"}"#);
    assert_eq!(
        (one.matches.as_slice(), one.min, one.max),
        (&["nginx".to_owned()][..], 1, None)
    );
    assert_eq!(one, resolved(r#"{"match": ["nginx"], "min": 1}"#));
    assert_eq!(one.target(), "nginx");

    let all =
        resolved(r#"{"match": ["a", "b"], "regex": "^c$", "user": 7, "exe": "/bin/d", "min": 0, "max": 0}"#);
    assert_eq!(all.target(), "a,b regex=^c$ user=7 exe=/bin/d");
    assert_eq!((all.min, all.max), (0, Some(0)));
}

#[test]
fn strings_are_literal_and_ignore_case() {
    let settings = resolved(r#"{"match": ["main:app", "a.b", "ÄRGER"]}"#);
    let pattern = settings.any_match.unwrap();
    for found in ["python MAIN:App", "xA.Bx", "ärger"] {
        assert!(pattern.is_match(found.as_bytes()), "{found}");
    }
    assert!(pattern.is_match(b"\xff\xfemain:app\xff"));
    for other in ["main app", "axb", ""] {
        assert!(!pattern.is_match(other.as_bytes()), "{other}");
    }
}

#[test]
fn exclude_has_strings_or_expressions() {
    let sources = |exclude: &str| -> Vec<String> {
        let settings = resolved(&format!("{{\"match\": \"a\", \"exclude\": {exclude}}}"));
        settings
            .exclude
            .iter()
            .map(|pattern| pattern.as_str().to_owned())
            .collect()
    };
    assert_eq!(sources("\"b\""), sources("[\"b\"]"));
    assert_eq!(sources("\"b\""), sources("{\"match\": \"b\"}"));
    assert_eq!(sources("{\"regex\": \"^b\"}"), ["^b"]);
    assert_eq!(
        sources("{\"regex\": [\"^b\", \"c$\"], \"match\": \"d\"}").len(),
        3
    );
    let plain = resolved(r#"{"match": "a"}"#);
    assert_eq!((plain.exclude.len(), plain.pid_namespace), (0, PidNamespace::Any));
    let own = resolved(r#"{"cmdline_regex": "a", "pid_namespace": "own"}"#);
    assert_eq!(own.pid_namespace, PidNamespace::Own);
    assert_eq!(own.target(), "cmdline_regex=a");
}

#[test]
fn a_user_is_a_name_or_a_number() {
    for (written, user) in [
        ("\"www-data\"", User::Name("www-data".to_owned())),
        ("33", User::Id(33)),
        ("\"33\"", User::Id(33)),
        ("4294967295", User::Id(u32::MAX)),
    ] {
        let settings = resolved(&format!("{{\"user\": {written}}}"));
        assert_eq!(settings.user, Some(user), "{written}");
    }
}

#[test]
fn errors_are_reported_at_their_keys() {
    for (json, expected) in [
        (
            "{}",
            "check: the process check has no criteria: add match, regex, cmdline_regex, user or exe",
        ),
        (
            r#"{"match": ""}"#,
            "check.match: blank, which matches nearly every process: write a part of the name or command line",
        ),
        (
            r#"{"match": []}"#,
            "check.match: empty list: write at least one string, or remove this key",
        ),
        (
            r#"{"match": ["a", " "]}"#,
            "check.match[1]: blank, which matches nearly every process: write a part of the name or command line",
        ),
        (
            r#"{"regex": ""}"#,
            "check.regex: empty, which matches every process: write a part of the name or command line",
        ),
        (
            r#"{"regex": "a(b"}"#,
            "check.regex: \"a(b\" is not a regular expression: unclosed group",
        ),
        (
            r#"{"cmdline_regex": ["a", "a(b"]}"#,
            "check.cmdline_regex[1]: \"a(b\" is not a regular expression: unclosed group",
        ),
        (
            r#"{"cmdline_regex": []}"#,
            "check.cmdline_regex: empty list: write at least one regular expression, or remove this key",
        ),
        (
            r#"{"match": "a", "exclude": ["b", ""]}"#,
            "check.exclude[1]: blank, which matches nearly every process: write a part of the name or command line",
        ),
        (
            r#"{"match": "a", "exclude": {"regex": "("}}"#,
            "check.exclude.regex: \"(\" is not a regular expression: unclosed group",
        ),
        (
            r#"{"match": "a", "exclude": {}}"#,
            "check.exclude: empty mapping: add match or regex",
        ),
        (
            r#"{"exclude": "a", "pid_namespace": "own"}"#,
            "check: the process check has no criteria: add match, regex, cmdline_regex, user or exe",
        ),
        (
            r#"{"user": ""}"#,
            "check.user: not a user: write a name as in /etc/passwd, or a number",
        ),
        (
            r#"{"exe": "nginx"}"#,
            "check.exe: \"nginx\" is not an absolute path: write the whole path, such as /usr/sbin/nginx, or use match",
        ),
        (
            r#"{"match": "a", "min": 3, "max": 2}"#,
            "check.max: 2 is less than min (3): write at least 3, or set min",
        ),
        (
            r#"{"match": "a", "max": 0}"#,
            "check.max: 0 is less than min (1, the default): write at least 1, or set min",
        ),
    ] {
        assert_eq!(errors(json), [expected], "{json}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let json = r#"{"match": ["", "a", ""], "regex": "(", "user": ":", "exe": "x", "min": 2, "max": 1}"#;
    let paths: Vec<String> = errors(json)
        .iter()
        .map(|error| error.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "check.match[0]",
            "check.match[2]",
            "check.regex",
            "check.user",
            "check.exe",
            "check.max"
        ]
    );
}

#[test]
fn a_list_that_is_too_large_is_an_error() {
    let json = format!("{{\"match\": [\"{}\"]}}", "x\u{fc}".repeat(200_000));
    assert!(errors(&json)[0].starts_with("check.match: the list is too large"));
}

#[test]
fn a_check_that_never_fails_is_a_warning() {
    let (settings, findings) = resolve(r#"{"match": "a", "min": 0}"#);
    assert!(settings.is_ok());
    assert_eq!(findings[0].path.to_string(), "check.min");
    assert!(!findings[0].is_error);
}

#[test]
fn errors_name_wrong_types_and_keys() {
    for (json, expected) in [
        (
            r#"{"match": 5}"#,
            "invalid type: integer `5`, expected a string or a list of strings",
        ),
        (
            r#"{"match": ["a", true]}"#,
            "invalid type: boolean `true`, expected a string",
        ),
        (
            r#"{"user": true}"#,
            "invalid type: boolean `true`, expected a user's name or number",
        ),
        (
            r#"{"user": -1}"#,
            "-1 is not the number of a user: write at least 0",
        ),
        (
            r#"{"user": 4294967296}"#,
            "4294967296 is not the number of a user: write at most 4294967295",
        ),
        (
            r#"{"exclude": 5}"#,
            "invalid type: integer `5`, expected a string, a list of strings, or a mapping with match or regex",
        ),
        (
            r#"{"pid_namespace": "host"}"#,
            "unknown variant `host`, expected `own` or `any`",
        ),
        (r#"{"min": -1}"#, "invalid value: integer `-1`, expected u64"),
        (
            r#"{"cmd": "a"}"#,
            "unknown field `cmd`, expected one of `match`, `regex`, `user`, `exe`, `min`, `max`",
        ),
    ] {
        let error = serde_json::from_str::<ProcessOptions>(json)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{json}: {error}");
    }
}

#[test]
fn the_schema_allows_both_forms() {
    let schema = serde_json::to_value(schemars::schema_for!(ProcessOptions)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["match"].is_object());
    assert_eq!(
        schema["$defs"]["OneOrMany"]["anyOf"].as_array().map(Vec::len),
        Some(2)
    );
}

proptest! {
    #[test]
    fn a_target_is_bounded(texts in proptest::collection::vec("\\PC{1,80}", 1..8)) {
        let json = serde_json::json!({ "match": texts }).to_string();
        if let (Ok(settings), _) = resolve(&json) {
            prop_assert!(settings.target().len() <= MAX_TARGET_BYTES);
        }
    }

    #[test]
    fn a_string_is_found_in_any_text(text in "\\PC{1,20}", before in "\\PC{0,9}", behind in "\\PC{0,9}") {
        prop_assume!(!text.trim().is_empty());
        let json = serde_json::json!({ "match": text }).to_string();
        let pattern = resolved(&json).any_match.unwrap();
        let line = format!("{before}{text}{behind}");
        prop_assert!(pattern.is_match(line.as_bytes()));
        prop_assert!(pattern.is_match(line.to_ascii_uppercase().as_bytes()));
    }
}
