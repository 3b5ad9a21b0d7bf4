//! The rules for the statement of a postgres check.

use crate::config::place::{Invalid, Place};

/// The longest statement, in bytes.
const MAX_QUERY_BYTES: usize = 16 << 10;

/// The statement without what ends it. Only one is taken: a second one could end the read-only transaction that the
/// first one runs in. Where a semicolon is part of a text is not looked at; `chr(59)` is one too.
///
/// # Errors
/// Reported at `place`.
pub fn single_statement(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let statement = text
        .trim_end_matches(|end: char| end.is_whitespace() || end == ';')
        .trim_start();
    if statement.is_empty() {
        return Err(place.error("is empty: write a statement, or remove it to run SELECT 1"));
    }
    if statement.len() > MAX_QUERY_BYTES {
        return Err(place.error(format_args!(
            "is {} bytes long: at most {MAX_QUERY_BYTES} are allowed, make a view of it",
            statement.len()
        )));
    }
    if statement.contains('\0') {
        return Err(place.error("holds a zero byte: remove it"));
    }
    if statement.contains(';') {
        return Err(place.error(
            "must be one statement: remove what follows the semicolon (within a text, write chr(59) for one)",
        ));
    }
    Ok(statement.to_owned())
}
