//! Plain scalars of YAML's core schema (YAML 1.2.2, section 10.3.2).

/// Parses a number.
pub fn number(text: &str) -> Option<f64> {
    integer(text).map(|value| value as f64).or_else(|| {
        let is_decimal = text.bytes().any(|byte| byte.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        is_decimal.then(|| text.parse().ok()).flatten()
    })
}

/// Parses a whole number.
pub fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    match text.strip_prefix('-') {
        Some(digits) => unsigned(digits, 10).map(|value| -value),
        None => unsigned(text.strip_prefix('+').unwrap_or(text), 10),
    }
}

/// The longest quoted number, in bytes.
const MAX_QUOTED: usize = 20;

/// Parses a whole number in quotes, as templates and old files contain it. Only decimal digits are a number.
pub fn quoted_integer(text: &str) -> Option<i128> {
    let digits = text.trim_matches(' ');
    let is_number = digits.len() <= MAX_QUOTED && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| unsigned(digits, 10)).flatten()
}

/// Parses a number in quotes: decimal digits, perhaps with a point.
pub fn quoted_number(text: &str) -> Option<f64> {
    let number = text.trim_matches(' ');
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = number.len() <= MAX_QUOTED;
    (is_short && is_number(whole) && is_number(decimals)).then(|| number.parse().ok())?
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    // from_str_radix accepts a sign, but the caller has parsed one already.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

/// Parses a boolean of YAML's core schema.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Parses a boolean where one is expected. It also accepts the words of YAML 1.1 (<https://yaml.org/type/bool.html>), as
/// blackbox_exporter and Python do.
pub fn yaml11_boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => boolean(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        for (text, value) in [
            ("0", 0),
            ("-7", -7),
            ("+7", 7),
            ("007", 7),
            ("0x1F", 31),
            ("0o17", 15),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["", "-", "+-1", "1_000", "0b1", "0x-1", "12:30", "y", "1.5", "٣"] {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(number("1e3"), Some(1000.0));
        for text in ["inf", "nan", "e", ".", "1e", "infinity"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_numbers_are_decimal() {
        for (text, value) in [("5", 5), (" 80 ", 80), ("007", 7)] {
            assert_eq!(quoted_integer(text), Some(value), "{text}");
        }
        for text in [
            "",
            " ",
            "-1",
            "+1",
            "0x50",
            "1e3",
            "8 0",
            "1.5",
            "123456789012345678901",
        ] {
            assert_eq!(quoted_integer(text), None, "{text}");
        }
        assert_eq!(quoted_number("0.9"), Some(0.9));
        assert_eq!(quoted_number(" 2 "), Some(2.0));
        for text in ["", ".5", "5.", "1e3", "-1", "1.2.3"] {
            assert_eq!(quoted_number(text), None, "{text}");
        }
    }

    #[test]
    fn yes_and_no_are_booleans_only_where_one_is_expected() {
        assert_eq!(boolean("true"), Some(true));
        for text in ["y", "yes", "on", "off", "n", "1", "tRUE"] {
            assert_eq!(boolean(text), None, "{text}");
        }
        for (text, value) in [
            ("yes", true),
            ("On", true),
            ("NO", false),
            ("off", false),
            ("true", true),
        ] {
            assert_eq!(yaml11_boolean(text), Some(value), "{text}");
        }
        for text in ["y", "n", "1", "yEs", ""] {
            assert_eq!(yaml11_boolean(text), None, "{text}");
        }
    }
}
