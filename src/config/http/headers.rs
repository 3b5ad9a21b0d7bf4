//! The headers of the requests of an http check.

use std::collections::BTreeMap;

use http::HeaderName;
use http::header::HOST;

use super::header_fields::{header_name, resolve_all};
use super::{HeaderValuesOptions, HttpOptions};
use crate::config::place::{Invalid, Place, all};
use crate::config::secret::{Secret, SecretSource};

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
