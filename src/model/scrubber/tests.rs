//! Every form of a secret is hidden, even in truncated texts. Everything else stays.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::*;

const SECRET: &str = "hunter2-s3cret/+?\" &<x>\\é";

fn scrub(secrets: &[&str], text: &str) -> String {
    let scrubber = Scrubber::new(secrets.iter().copied(), "https://shop.example.com:8443/health");
    scrubber.scrub(text).into_owned()
}

#[test]
fn a_secret_is_hidden_in_every_form() {
    let percent = percent_encode(SECRET.as_bytes(), NON_ALPHANUMERIC).to_string();
    let bytes = |prefix: &str| {
        SECRET
            .bytes()
            .map(|byte| format!("{prefix}{byte:02x}"))
            .collect::<String>()
    };
    let codes = |before: &str, after: &str, hexadecimal: bool| -> String {
        let one = |c: char| match hexadecimal {
            true => format!("{before}{:04x}{after}", c as u32),
            false => format!("{before}{}{after}", c as u32),
        };
        SECRET.chars().map(one).collect()
    };
    let html = SECRET
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let json = serde_json::to_string(SECRET).unwrap();
    for form in [
        SECRET.to_owned(),
        SECRET.to_uppercase(),
        SECRET.to_lowercase(),
        percent.clone(),
        percent.to_lowercase(),
        percent.replace("%20", "+"),
        percent.replace('%', "%25"),
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        bytes("%"),
        bytes("\\x"),
        bytes(""),
        bytes("").to_uppercase(),
        codes("\\u", "", true),
        codes("&#", ";", false),
        codes("&#x", ";", true),
        SECRET.chars().map(|c| c.escape_unicode().to_string()).collect(),
        format!("{SECRET:?}").trim_matches('"').to_owned(),
        json.trim_matches('"').to_owned(),
        html,
    ] {
        for (before, after) in [
            ("got ", " instead"),
            ("\"", "\""),
            ("x", "y"),
            ("%", "%"),
            ("\\", ""),
        ] {
            let scrubbed = scrub(&[SECRET], &format!("{before}{form}{after}"));
            assert_eq!(scrubbed, format!("{before}{HIDDEN}{after}"), "{form}");
        }
    }
}

#[test]
fn base64_is_hidden_wherever_the_secret_begins_in_it() {
    for secret in ["hunter2-s3cret", "s3cret!", "~~??>>~~"] {
        for user in ["", "a:", "ab:", "abc:", "someone:"] {
            for after in ["", "\n", "xy"] {
                let pair = format!("{user}{secret}{after}");
                for encoded in [
                    STANDARD.encode(&pair),
                    STANDARD_NO_PAD.encode(&pair),
                    URL_SAFE.encode(&pair),
                    URL_SAFE_NO_PAD.encode(&pair),
                    STANDARD.encode(&pair).to_lowercase(),
                    percent_encode(STANDARD.encode(&pair).as_bytes(), NON_ALPHANUMERIC).to_string(),
                ] {
                    let scrubbed = scrub(&[secret], &format!("Basic {encoded} is wrong"));
                    assert!(scrubbed.contains(HIDDEN), "{pair}: {encoded}: {scrubbed}");
                    // A text in lower case can't be decoded.
                    if encoded == encoded.to_lowercase() {
                        continue;
                    }
                    // The text before the hidden part decodes to the user name, or to a part of it.
                    let left = scrubbed.trim_start_matches("Basic ").split('<').next().unwrap();
                    let bytes = STANDARD_NO_PAD
                        .decode(&left[..left.len() / 4 * 4])
                        .unwrap_or_default();
                    let left = String::from_utf8_lossy(&bytes).into_owned();
                    assert!(
                        user.starts_with(left.trim_end_matches('\u{fffd}')),
                        "{pair}: {left}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_beginning_of_a_secret_is_hidden_in_a_truncated_text() {
    let encoded = STANDARD.encode("u:hunter2-s3cret");
    let percent = percent_encode(SECRET.as_bytes(), NON_ALPHANUMERIC).to_string();
    for (form, min) in [
        ("hunter2-s3cret", 3),
        (encoded.as_str(), 6),
        (percent.as_str(), 3),
    ] {
        for length in min..form.len() {
            let scrubbed = scrub(
                &["hunter2-s3cret", SECRET],
                &format!("got \"{}\u{2026}\"", &form[..length]),
            );
            assert!(scrubbed.contains(HIDDEN), "{scrubbed}");
            assert!(!scrubbed.contains("hun"), "{scrubbed}");
        }
    }
    for (text, expected) in [
        ("(ERR unknown hunter)", "(ERR unknown <secret>)"),
        ("ERR unknown hunter", "ERR unknown <secret>"),
        ("the hunter is away", "the hunter is away"),
        ("hu\u{2026}", "hu\u{2026}"),
    ] {
        assert_eq!(scrub(&["hunter2-s3cret"], text), expected);
    }
}

#[test]
fn words_of_a_secret_are_hidden_except_public_words() {
    for (secret, text, expected) in [
        ("Bearer s3cret-token", "bearer s3cret-token", "<secret>"),
        ("Bearer s3cret-token", "a bearer s3cret-token", "a <secret>"),
        (
            "Bearer s3cret-token",
            "Bearer: bad s3cret-token",
            "Bearer: bad <secret>",
        ),
        ("Token token=s3cret", "no s3cret here", "no <secret> here"),
        ("session=abcdef; theme=dark", "session abcdef", "session <secret>"),
        (
            "AUTH PLAIN AHVzZXIAaHVudGVyMg==\r",
            "535 user hunter2 AUTH",
            "535 <secret> AUTH",
        ),
        (
            "EHLO shop.example.com\r",
            "no EHLO to shop.example.com",
            "no EHLO to shop.example.com",
        ),
        ("PASS a%2Fsecret", "is a/secret right", "is <secret> right"),
    ] {
        assert_eq!(scrub(&[secret], text), expected);
    }
}

#[test]
fn documents_are_hidden_as_a_whole_and_by_values_that_look_secret() {
    let json = r#"{"jsonrpc": "2.0", "method": "status", "params": {"password": "p a ss", "apiKey": "swordfish"}, "id": "a1b2c3d4e5"}"#;
    for (secret, text, expected) in [
        (json, json, "<secret>"),
        (json, "the method status", "the method status"),
        (json, "the password is \"p a ss\"", "the password is \"<secret>\""),
        (json, "no swordfish, no A1B2C3D4E5", "no <secret>, no <secret>"),
        ("user=me&password=swordfish&a=b", "me: swordfish", "me: <secret>"),
        (
            "ready=true&verbose=1&key=swordfish",
            "ready: true, swordfish",
            "ready: true, <secret>",
        ),
        ("one line of text\nand another", "x and another y", "x <secret> y"),
    ] {
        assert_eq!(scrub(&[secret], text), expected);
    }
    assert_eq!(
        scrub(&[json], &format!("body: {}\u{2026}", &json[..40])),
        "body: <secret>\u{2026}"
    );
}

#[test]
fn short_secrets_are_hidden_as_whole_words_and_single_letters_are_not() {
    assert_eq!(
        scrub(&["abc"], "abc and \"ABC\", abcd"),
        "<secret> and \"<secret>\", abcd"
    );
    assert_eq!(scrub(&["a"], "a bad day"), "a bad day");
    assert_eq!(scrub(&[""], "a bad day"), "a bad day");
    assert_eq!(
        scrub(&["guest"], "PLAIN login refused: user 'guest'"),
        "PLAIN login refused: user 'guest'"
    );
    assert_eq!(
        scrub(&["shop"], "shop.example.com:8443 refused"),
        "shop.example.com:8443 refused"
    );
}

#[test]
fn password_proofs_are_hidden() {
    let (md5, proof) = ("0123456789abcdef0123456789ABCDEF", STANDARD.encode([7; 32]));
    for (text, expected) in [
        (
            format!("password md5{md5} is wrong"),
            "password md5<secret> is wrong".to_owned(),
        ),
        (
            format!("c=biws,r=abc,p={proof}"),
            "c=biws,r=abc,p=<secret>=".to_owned(),
        ),
    ] {
        assert_eq!(scrub(&["hunter2"], &text), expected);
    }
}

#[test]
fn hostile_texts_do_not_take_long() {
    let secrets: Vec<String> = (0..4)
        .map(|index| format!("{}{index}", "%25".repeat(100)))
        .collect();
    let scrubber = Scrubber::new(secrets.iter().map(String::as_str), "");
    for text in [
        "%25".repeat(340),
        "%".repeat(1000),
        "\\".repeat(1000),
        "%2525".repeat(200),
        "&#37;".repeat(200),
    ] {
        let begun = std::time::Instant::now();
        let _ = scrubber.scrub(&text);
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
}
