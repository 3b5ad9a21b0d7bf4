//! Validates texts that become labels or are shown to people: allowed characters and lengths.

use url::Url;

use super::place::{Invalid, Place};

/// The longest key of a service or name of a check, in bytes. They are label values.
pub const MAX_KEY: usize = 64;

/// The longest group or display name, in characters. They are label values.
pub const MAX_NAME: usize = 128;

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 1024;

/// The longest URL, in bytes.
const MAX_URL: usize = 2048;

/// Validates an identifier: `[a-z0-9_.-]+`, at most [`MAX_KEY`].
///
/// # Errors
/// Reported at `place`.
pub fn key(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-');
    if text.is_empty() {
        return Err(place.error("empty: write a short word of a-z, 0-9, _, . and -"));
    }
    if text.len() > MAX_KEY {
        return Err(place.error(format_args!(
            "{} bytes long: write at most {MAX_KEY} characters of a-z, 0-9, _, . and -",
            text.len()
        )));
    }
    if text.chars().all(is_allowed) {
        return Ok(text);
    }
    let fold = |c: char| if is_allowed(c) { c } else { '_' };
    let folded: String = text.to_lowercase().chars().map(fold).collect();
    let rule = "only a-z, 0-9, _, . and - are allowed";
    Err(if folded.chars().any(|c| c.is_ascii_alphanumeric()) {
        place.error(format_args!("{rule}: write {folded}"))
    } else {
        place.error(rule)
    })
}

/// Validates a line of text.
///
/// # Errors
/// Reported at `place`.
pub fn line(text: String, longest: usize, place: &Place<'_>) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(place.error("empty: write a text, or remove the key"));
    }
    paragraph(text, longest, place)
}

/// Validates a line of text that may be empty.
///
/// # Errors
/// Reported at `place`.
pub fn paragraph(text: String, longest: usize, place: &Place<'_>) -> Result<String, Invalid> {
    let text = text.trim_end().to_owned();
    let length = text.chars().count();
    if length > longest {
        return Err(place.error(format_args!("{length} characters long: write at most {longest}")));
    }
    if text.chars().any(char::is_control) {
        return Err(place.error("contains a line break or another control character: write one line of text"));
    }
    Ok(text)
}

/// Validates the URL of a web page.
///
/// # Errors
/// Reported at `place`.
pub fn page_url(text: String, place: &Place<'_>) -> Result<String, Invalid> {
    let advice = "write an http or https URL, such as https://wiki.example.org/runbooks/api";
    match Url::parse(&text) {
        Ok(_) if text.len() > MAX_URL => {
            Err(place.error(format_args!("longer than {MAX_URL} bytes: {advice}")))
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(place.error("contains credentials, which the status page would show: remove them"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url.into()),
        Ok(_) => Err(place.error(format_args!("not the URL of a web page: {advice}"))),
        Err(error) => Err(place.error(format_args!("not a URL ({error}): {advice}"))),
    }
}
