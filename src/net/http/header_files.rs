//! Headers of a request whose values are in files.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::secret::SecretSource;
use crate::model::{Problem, Reason};
use crate::net::shortage;

/// Reads the files, and adds the headers.
///
/// # Errors
/// With the reason `auth` if a file can't be read, or is not valid in a header.
pub fn add_header_files(
    headers: &mut HeaderMap,
    files: &[(HeaderName, SecretSource)],
) -> Result<(), Problem> {
    for (name, source) in files {
        let value = source
            .read_line()
            .map_err(|error| shortage::problem(Reason::Auth, &error, &error))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
            let message =
                format_args!("the file of the header {name} contains characters that headers can't have");
            Problem::new(Reason::Auth, message)
        })?;
        value.set_sensitive(true);
        headers.append(name.clone(), value);
    }
    Ok(())
}
