//! Names and values of header fields.

use http::{HeaderName, HeaderValue};

use crate::config::place::{Invalid, Place, all};
use crate::config::secret::Secret;

/// Headers that describe the connection. The check sets them itself.
const OWN_HEADERS: [&str; 3] = ["connection", "te", "upgrade"];
/// Headers that describe the length of the message. They are ignored, as in blackbox_exporter.
const UNSENT_HEADERS: [&str; 2] = ["content-length", "transfer-encoding"];

/// Resolves headers of a request. Errors do not quote values, which may be secrets.
pub(super) fn resolve_all<'h>(
    place: &Place<'_>,
    written: impl Iterator<Item = (&'h String, &'h String)>,
) -> Result<Vec<(HeaderName, Secret)>, Invalid> {
    all(written.filter_map(|(name, value)| {
        let place = place.field(name);
        let name = header_name(&place, name).transpose()?;
        Some(name.and_then(|name| match HeaderValue::try_from(value) {
            Ok(_) => Ok((name, Secret::new(value))),
            Err(_) => {
                Err(place.error("the value contains characters that headers can't have, such as line breaks"))
            }
        }))
    }))
}

/// Resolves the name of a header at `place`. `None` if the check sets the header itself, from the request body.
pub(super) fn header_name(place: &Place<'_>, name: &str) -> Result<Option<HeaderName>, Invalid> {
    if UNSENT_HEADERS
        .iter()
        .any(|unsent| name.eq_ignore_ascii_case(unsent))
    {
        place.warn("ignored: the check sets it from the request body");
        return Ok(None);
    }
    match HeaderName::try_from(name) {
        Err(_) => Err(place.error(format_args!("\"{name}\" is not a header name"))),
        Ok(name) if OWN_HEADERS.contains(&name.as_str()) => {
            Err(place.error(format_args!("the check itself sets {name}: remove this header")))
        }
        Ok(name) => Ok(Some(name)),
    }
}
