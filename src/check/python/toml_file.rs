//! Parses TOML, with the line in errors.

use serde::de::DeserializeOwned;

/// Parses a document.
///
/// # Errors
/// The line and what is wrong there.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        // The parser's messages have several lines: a list of what it expected.
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let message = without_values(&message);
        match error.span().and_then(|span| text.get(..span.start)) {
            Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
            None => message,
        }
    })
}

/// Removes texts that a message quotes: they may be URLs with credentials.
fn without_values(message: &str) -> String {
    match (message.find("string \""), message.rfind('"')) {
        (Some(start), Some(end)) => format!("{}string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_line() {
        type Table = std::collections::BTreeMap<String, u8>;
        assert_eq!(parse::<Table>("a = 1").unwrap().len(), 1);
        let error = parse::<Table>("a = 1\nb = [").unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
        assert_eq!(
            parse::<Table>("a = \"https://user:secret@x.test\"").unwrap_err(),
            "line 1: invalid type: string, expected u8"
        );
        assert!(parse::<Table>(&format!("a = {}", "[".repeat(10_000))).is_err());
    }
}
