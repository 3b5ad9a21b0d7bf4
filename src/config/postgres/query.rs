//! Validates the statement of a postgres check.

use crate::config::place::{Invalid, Place};

/// The longest statement, in bytes.
const MAX_QUERY_BYTES: usize = 16 << 10;

/// Returns the statement without semicolons at its end. There must be only one, because a second one could end the read-only
/// transaction. Semicolons in string literals are rejected as well; `chr(59)` is an alternative.
///
/// # Errors
/// Reported at `place`.
pub fn single_statement(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let statement = text
        .trim_end_matches(|end: char| end.is_whitespace() || end == ';')
        .trim_start();
    if statement.is_empty() {
        return Err(place.error("empty: write a statement, or remove this key to run SELECT 1"));
    }
    if statement.len() > MAX_QUERY_BYTES {
        return Err(place.error(format_args!(
            "{} bytes long: write at most {MAX_QUERY_BYTES}, or create a view",
            statement.len()
        )));
    }
    if statement.contains('\0') {
        return Err(place.error("contains a zero byte: remove it"));
    }
    if statement.contains(';') {
        return Err(place.error(
            "more than one statement: remove the text after the semicolon (write chr(59) for a semicolon in a string)",
        ));
    }
    Ok(statement.to_owned())
}
