//! The headers of the requests of an http check.

use std::collections::BTreeMap;

use http::header::HOST;
use http::{HeaderName, HeaderValue};

use super::{HeaderValuesOptions, HttpOptions};
use crate::config::place::{Invalid, Place, all};
use crate::config::secret::{Secret, SecretSource};

/// Headers that describe the connection. The check sets them itself.
const OWN_HEADERS: [&str; 3] = ["connection", "te", "upgrade"];
/// Headers that describe the length of the message. They are ignored, as in blackbox_exporter.
const UNSENT_HEADERS: [&str; 2] = ["content-length", "transfer-encoding"];

impl HttpOptions {
    /// Resolves the headers whose values are in the configuration.
    pub(super) fn resolve_headers(&self, place: &Place<'_>) -> Result<Vec<(HeaderName, Secret)>, Invalid> {
        let listed = resolve_all(&place.field("headers"), self.headers.iter());
        let more = header_values(&place.field("http_headers"), &self.http_headers);
        let mut all = listed?;
        all.extend(more?);
        Ok(all)
    }

    /// Resolves the headers whose values are in files.
    pub(super) fn resolve_header_files(
        &self,
        place: &Place<'_>,
    ) -> Result<Vec<(HeaderName, SecretSource)>, Invalid> {
        header_files(&place.field("http_headers"), &self.http_headers)
    }
}

/// Resolves the values in a mapping of headers at `place`.
///
/// # Errors
/// Reported at their keys.
pub fn header_values(
    place: &Place<'_>,
    written: &BTreeMap<String, HeaderValuesOptions>,
) -> Result<Vec<(HeaderName, Secret)>, Invalid> {
    let values = written.iter().flat_map(|(name, options)| {
        let values = options.values.iter().chain(&options.secrets);
        values.map(move |value| (name, value))
    });
    resolve_all(place, values)
}

/// Resolves the files in a mapping of headers at `place`.
///
/// # Errors
/// Reported at their keys.
pub fn header_files(
    place: &Place<'_>,
    written: &BTreeMap<String, HeaderValuesOptions>,
) -> Result<Vec<(HeaderName, SecretSource)>, Invalid> {
    let files = written.iter().flat_map(|(name, options)| {
        let files = options.files.iter().enumerate();
        files.map(move |(index, path)| (name, index, path))
    });
    all(files.filter_map(|(name, index, path)| {
        let place = place.field(name);
        let name = header_name(&place, name).transpose()?;
        let source = SecretSource::File(path.clone());
        let place = place.field("files").index(index);
        Some(name.and_then(|name| {
            if name == HOST {
                return Err(place.error("the header Host can't be read from a file: write it under values"));
            }
            place.validate_reading(source.read_line())?;
            Ok((name, source))
        }))
    }))
}

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
fn header_name(place: &Place<'_>, name: &str) -> Result<Option<HeaderName>, Invalid> {
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
