//! The meaning of regular expressions. The expectations are Go's; tests/probe compares many more with blackbox_exporter.

use proptest::prelude::*;

use super::*;
use crate::config::budget::{Budget, Exhausted};
use crate::config::pattern_cache::PatternCache;

#[track_caller]
fn check(expression: &str, matches: &[&[u8]], others: &[&[u8]]) {
    let pattern = Pattern::new(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    for (expected, texts) in [(true, matches), (false, others)] {
        for text in texts {
            let matched = pattern.is_match(text);
            assert_eq!(matched, expected, "{expression} on {}", text.escape_ascii());
        }
    }
}

#[test]
fn classes_have_no_operators() {
    check(
        "status: [&&|!]down",
        &[b"status: !down", b"status: &down"],
        &[b"status: down"],
    );
    check("^[a&&b]$", &[b"a", b"b", b"&"], &[b"ab"]);
    check("^[+--]$", &[b"+", b",", b"-"], &[b"."]);
    check("^[a~~b]$", &[b"a", b"~"], &[b"c"]);
    check("^[[]$", &[b"["], &[b"]"]);
    check("^[[a]b]$", &[b"[b]", b"ab]"], &[b"a"]);
    check("^[]a]$", &[b"]", b"a"], &[b"[]a]"]);
    check("^[[:alpha:]-]$", &[b"x", b"-"], &[b":"]);
}

#[test]
fn braces_that_are_not_a_repetition_are_literals() {
    check(r#"{"ok":true"#, &[br#"{"ok":true}"#], &[b"ok"]);
    check(r#""status": {"#, &[br#"{"status": {}}"#], &[]);
    check("^a{,3}$", &[b"a{,3}"], &[b"aa"]);
    check("^a{01}$", &[b"a{01}"], &[b"a"]);
    check("^a{2,3}$", &[b"aa", b"aaa"], &[b"a", b"aaaa"]);
}

#[test]
fn any_character_is_a_code_point() {
    let (e, two) = ("\u{e9}".as_bytes(), "\u{e9}\u{e9}".as_bytes());
    for expression in [
        "^.$",
        "^[^a]$",
        r"^\D$",
        r"^\W$",
        r"^\S$",
        "^[[:^alpha:]]$",
        r"^\pL$",
    ] {
        check(expression, &[e], &[two]);
    }
    check("^[\u{e4}\u{f6}\u{fc}]$", &["\u{f6}".as_bytes()], &[e]);
    check("(?i)^B\u{dc}CHER$", &["b\u{fc}cher".as_bytes()], &[b"bucher"]);
}

#[test]
fn classes_by_letter_are_ascii() {
    check(r"^\d$", &[b"1"], &["\u{663}".as_bytes()]);
    check(r"^\w+$", &[b"a_1"], &["\u{e9}".as_bytes()]);
    check(r"^\s$", &[b" ", b"\t"], &[b"\x0b", "\u{a0}".as_bytes()]);
    check(r"\ba", &[b"a", "\u{e9}a".as_bytes()], &[b"ba"]);
}

#[test]
fn a_byte_that_is_not_utf8_is_any_character() {
    check("^caf.$", &[b"caf\xe9", b"caf\xff", b"caf\x82"], &[b"caf\xe2\x82"]);
    check("^[^x]{2}$", &[b"\xe2\x82", b"\xed\x80"], &[b"\xe2\x82x"]);
    check("ok", &[b"\xff\xfeok"], &[b"o\xffk"]);
    check(r"^\x{fffd}$", &[b"\xff", "\u{fffd}".as_bytes()], &[b"?"]);
    // In RE2 \xff is a code point.
    check(r"^\xff$", &["\u{ff}".as_bytes()], &[b"\xff"]);
}

#[test]
fn groups_keep_their_numbers_and_bytes() {
    let pattern = Pattern::new(r"^([^ ]+) .(?P<rest>[^a]*)(x)?").unwrap();
    let groups = pattern
        .captures(b"220\xff \xe9\xfeb\xc3\xa9", &Budget::ample())
        .unwrap()
        .unwrap();
    let mut text = Vec::new();
    groups.expand(b"[$1|${2}|${rest}|$3|$4|$$|$rest]", &mut text);
    assert_eq!(text, b"[220\xff|\xfeb\xc3\xa9|\xfeb\xc3\xa9|||$|\xfeb\xc3\xa9]");
    assert!(pattern.captures(b"x", &Budget::ample()).unwrap().is_none());
}

#[test]
fn any_of_ignores_case() {
    let texts = ["(a&&b)#~".to_owned(), "\u{dc}-x y".to_owned()];
    let pattern = Pattern::new(&Pattern::any_of(&texts)).unwrap();
    assert!(pattern.is_match(b"_(A&&B)#~_") && pattern.is_match("\u{fc}-X Y".as_bytes()));
    assert!(!pattern.is_match(b"a&b"));
}

#[test]
fn an_error_is_one_line_that_names_the_mistake() {
    for (expression, error) in [
        ("a(b", "unclosed group"),
        ("a)b", "unopened group"),
        ("[a", "missing closing ]: [a"),
        ("[b-a]", "invalid character class range: b-a"),
        ("[[:foo:]]", "unknown character class [:foo:]"),
        ("a**", "nested repetition without a group: **"),
        ("|+?", "nothing to repeat before +?"),
        (
            "a{1001}",
            "invalid repetition {1001}: write numbers up to 1000, the lower number first",
        ),
        (r"a\C", r"single bytes are not supported: \C"),
        (r"(a)\1", r"backreferences are not supported: \1"),
        (r"\Zb", r"unknown escape sequence: \Zb"),
        (r"a\", "trailing backslash"),
        (r"\p{Foo}", "unknown Unicode category or script \"Foo\""),
        ("(?=a)b", "this kind of group is not supported: (?=a)b"),
        ("(?x)a", "this kind of group is not supported: (?x)a"),
        (
            "(?P<1>a)",
            "invalid group name \"1\": write letters, digits and _, and no digit first",
        ),
        ("(?P<a>)(?P<a>)", "duplicate capture group name"),
    ] {
        assert_eq!(Pattern::new(expression).unwrap_err(), error, "{expression}");
    }
}

#[test]
fn the_size_of_one_expression_is_bounded() {
    assert_eq!(
        Pattern::new(&"a".repeat(MAX_PATTERN_BYTES + 1)).unwrap_err(),
        "longer than 4096 bytes"
    );
    assert_eq!(
        Pattern::new("((a{100}){100}){100}").unwrap_err(),
        "needs more than 8 MiB when compiled: use smaller numbers of repetitions"
    );
    for big in [r".{1000}", r"[^ ]{1000}", r"(?i)\pL{100}", r"(?s)^(.{10},){100}$"] {
        assert!(Pattern::new(big).is_ok(), "{big}");
    }
    for common in [
        "a.*b[0-9]+c",
        r"^220 ([^ ]+) ESMTP",
        "(?i)[^a-z]",
        r"\W+",
        r#""status": *"ok""#,
    ] {
        assert_eq!(Pattern::compile(common).1, SIZE_LIMITS[0], "{common}");
    }
}

#[test]
fn the_total_size_of_a_configuration_is_bounded() {
    let cache = PatternCache::default();
    let heavy = |index: usize| format!("(a{{100}}){{100}}{index}");
    assert!((0..1000).any(|index| cache.pattern(&heavy(index)).is_err()));
    assert!(
        cache.pattern(&heavy(0)).is_ok(),
        "a cached expression costs nothing"
    );
    assert!(Pattern::new(&heavy(1001)).is_ok());
}

/// Texts that are likely to be valid or nearly valid expressions.
fn expressions() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-c\u{e9}\u{1b}\u{202e}]",
        r"[\[\]\^\-&~:|()?*+.${},\\]",
        Just("(?i".to_owned()),
        Just("(?P<n>".to_owned()),
        Just(r"\p{".to_owned()),
        Just(r"\pL".to_owned()),
        Just(r"\x".to_owned()),
        Just(r"\Q".to_owned()),
        Just("[[:alpha:]".to_owned()),
        r"\\[0-9A-Za-z]",
        r"\{[0-9]{1,2},?[0-9]?\}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_a_printable_error(
        text in prop_oneof![any::<String>(), expressions()],
        body in any::<Vec<u8>>(),
    ) {
        match Pattern::new(&text) {
            Ok(pattern) => {
                let groups = pattern.captures(&body, &Budget::ample()).unwrap();
                prop_assert_eq!(groups.is_some(), pattern.is_match(&body));
            }
            Err(error) => prop_assert_eq!(visible(&error, 1000), error),
        }
    }

    #[test]
    fn every_escaped_text_matches_itself(text in any::<String>()) {
        let pattern = Pattern::new(&Pattern::any_of(std::slice::from_ref(&text))).unwrap();
        prop_assert!(pattern.is_match(text.as_bytes()));
    }
}

/// Searches with the budgeted search, whatever the length.
fn search_within_budget(pattern: &Pattern, bytes: &[u8]) -> bool {
    let decoded = pattern.replace_invalid(bytes);
    let found = pattern
        .search
        .finds(&pattern.translated, pattern.size, &decoded, &Budget::ample());
    found.unwrap()
}

#[test]
fn both_searches_agree() {
    for source in [
        "",
        "^",
        "$",
        "^$",
        "\\b",
        "\\Bx",
        "a|b*",
        "(?i)K",
        "(?m)^b$",
        "(?s)a.b",
        "a.b",
        "[^a]",
        "\\xff",
        "x*$",
        "\\z",
        "(?U)a+?b",
        "é+",
        "error.{0,90}code.{0,90}5[0-9][0-9]",
        "^(?:ab|cd){2,3}$",
    ] {
        let Ok(pattern) = Pattern::new(source) else {
            continue;
        };
        for text in [
            &b""[..],
            b"a",
            b"b\n",
            b"a\nb",
            b"abcdab",
            b"xx",
            b"k",
            "\u{212a}".as_bytes(),
            "é".as_bytes(),
            b"\xff",
            b"a\xffb",
            b"\n\n",
            b"error x code y 503",
            b" x ",
            b"_",
        ] {
            assert_eq!(
                search_within_budget(&pattern, text),
                pattern.is_match(text),
                "{source} in {text:?}"
            );
        }
    }
}

#[test]
fn expensive_searches_end_with_their_budget_and_long_texts_do_not() {
    let text = |words: &[&str], length: usize| {
        let mut seed = 1_u64;
        let mut text = String::new();
        while text.len() < length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text += words[(seed >> 33) as usize % words.len()];
        }
        text
    };
    let hostile = text(&["error", "code", "5x", " "], 65_000);
    let budget = || Budget::new(std::time::Duration::from_millis(200), Arc::default());
    for source in [
        "error.{0,900}code.{0,900}5[0-9][0-9]",
        "[^z]{1,900}z[^z]{900}y",
        "(?:x|e|r|o|c|d| ){900}q",
    ] {
        let pattern = Pattern::new(source).unwrap();
        let begun = std::time::Instant::now();
        let found = pattern.finds(hostile.as_bytes(), &budget());
        assert!(matches!(found, Err(Exhausted) | Ok(false)), "{source}");
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(20),
            "{source}: {:?}",
            begun.elapsed()
        );
    }
    assert_eq!(
        Pattern::new("error.{0,900}code.{0,900}5[0-9][0-9]")
            .unwrap()
            .finds(hostile.as_bytes(), &budget()),
        Err(Exhausted)
    );
    let long = text(&["all is well, ", "status ok\n"], 2_000_000);
    let ample = Budget::ample();
    assert_eq!(
        Pattern::new("unhealthy|down")
            .unwrap()
            .finds(long.as_bytes(), &ample),
        Ok(false)
    );
    assert_eq!(
        Pattern::new("(?i)STATUS OK$")
            .unwrap()
            .finds(long.as_bytes(), &ample),
        Ok(long.ends_with("ok"))
    );
}
