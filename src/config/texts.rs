//! The rules for texts that become labels or are shown: what they may hold, and how long they may be.

use url::Url;

use super::place::{Invalid, Place};

/// The longest key of a service or name of a check, in bytes. They are values of labels.
pub const MAX_KEY: usize = 64;

/// The longest group or display name, in characters. They are values of labels.
pub const MAX_NAME: usize = 128;

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 1024;

/// The longest URL, in bytes.
const MAX_URL: usize = 2048;

/// Checks a text that identifies something: `[a-z0-9_.-]+`, at most [`MAX_KEY`].
///
/// # Errors
/// Reported at `place`.
pub fn key(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-');
    if text.is_empty() {
        return Err(place.error("is empty: write a short word of a-z, 0-9, _, . and -"));
    }
    if text.len() > MAX_KEY {
        return Err(place.error(format_args!(
            "is {} bytes long: write at most {MAX_KEY} characters of a-z, 0-9, _, . and -",
            text.len()
        )));
    }
    if text.chars().all(is_allowed) {
        return Ok(text);
    }
    let fold = |c: char| if is_allowed(c) { c } else { '_' };
    let folded: String = text.to_lowercase().chars().map(fold).collect();
    let rule = "only a-z, 0-9, _, . and - are allowed here";
    Err(if folded.chars().any(|c| c.is_ascii_alphanumeric()) {
        place.error(format_args!("{rule}: write {folded}"))
    } else {
        place.error(rule)
    })
}

/// Checks a text for people on one line.
///
/// # Errors
/// Reported at `place`.
pub fn line(text: String, longest: usize, place: &Place<'_>) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(place.error("is empty: write a text, or remove the key"));
    }
    paragraph(text, longest, place)
}

/// Checks a text for people that may be empty.
///
/// # Errors
/// Reported at `place`.
pub fn paragraph(text: String, longest: usize, place: &Place<'_>) -> Result<String, Invalid> {
    let text = text.trim_end().to_owned();
    let length = text.chars().count();
    if length > longest {
        return Err(place.error(format_args!(
            "is {length} characters long: write at most {longest}"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(place.error("holds a line break or another control character: write one line of text"));
    }
    Ok(text)
}

/// Checks the URL of a page for people.
///
/// # Errors
/// Reported at `place`.
pub fn page_url(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let right = "write an http or https URL, such as https://wiki.example.org/runbooks/api";
    match Url::parse(&text) {
        Ok(_) if text.len() > MAX_URL => {
            Err(place.error(format_args!("is longer than {MAX_URL} bytes: {right}")))
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(place.error("holds credentials, and it is shown to people: remove them"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.into()),
        Ok(_) => Err(place.error(format_args!("is not a URL of a web page: {right}"))),
        Err(error) => Err(place.error(format_args!("is not a URL ({error}): {right}"))),
    }
}
