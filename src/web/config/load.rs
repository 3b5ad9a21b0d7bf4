//! Loads the web configuration file. Reports all errors at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use super::clients::ClientRequirements;
use super::http::HttpSettings;
use super::options::WebOptions;
use super::pem::Files;
use super::rate::Rate;
use super::users::{self, PasswordHash};
use crate::config::file_version::FileVersion;
use crate::config::place::{self, Place};
use crate::config::yaml::{self, Node};
use crate::config::{ConfigError, Diagnostic, read_document, regular_file};

/// The largest file, in bytes: the web configuration, and each file that it references.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// The advice for an empty file. An empty file must not disable protection: a file that is being written is empty too.
const EMPTY: &str = "write {} to serve without TLS and users, or remove --web.config.file";

/// The settings of the web server.
#[derive(Clone, Debug, Default)]
pub struct WebSettings {
    /// The TLS settings; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What TLS requires of clients.
    pub(in crate::web) clients: ClientRequirements,
    /// The settings of HTTP.
    pub http: HttpSettings,
    /// Users and their password hashes. Empty disables authentication.
    pub users: BTreeMap<String, PasswordHash>,
    /// The rate limit of all requests; `None` for no limit.
    pub rate_limit: Option<Rate>,
}

/// The files that settings are loaded from, with their versions before they were read.
pub(in crate::web) type FileVersions = Vec<(PathBuf, FileVersion)>;

/// Loads a file and the files that it references. May block.
///
/// # Errors
/// When a file can't be read or has errors: all errors.
pub fn load(path: &Path) -> Result<WebSettings, ConfigError> {
    load_with_versions(path).0
}

/// Like [`load`], but also returns the files that the result depends on.
pub(in crate::web) fn load_with_versions(path: &Path) -> (Result<WebSettings, ConfigError>, FileVersions) {
    let own = FileVersion::of(path);
    let versions = std::cell::RefCell::new(vec![(path.to_owned(), own)]);
    let read = |path: &Path| {
        // Taken before the file is read, so that a change during the read is detected.
        versions
            .borrow_mut()
            .push((path.to_owned(), FileVersion::of(path)));
        regular_file::read(path, MAX_FILE_BYTES as u64)
    };
    let name = path.display().to_string();
    let result = match regular_file::read(path, MAX_FILE_BYTES as u64) {
        Ok(bytes) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            parse_bytes(&bytes, &name, &Files::new(directory, &read))
        }
        Err(error) => Err(file_error(
            &name,
            format!("failed to read the web configuration file: {error}"),
        )),
    };
    (result, versions.into_inner())
}

/// Parses a web configuration. `file_name` appears in the errors. Reads other files only through `files`.
///
/// # Errors
/// When it has errors: all of them.
pub fn parse_bytes(bytes: &[u8], file_name: &str, files: &Files<'_>) -> Result<WebSettings, ConfigError> {
    let resolve = |root: &Node, place: &Place<'_>| resolve(root, place, files);
    read_document(bytes, MAX_FILE_BYTES, file_name, EMPTY, resolve).map(|(settings, _)| settings)
}

/// Returns an error about the file as a whole.
pub(in crate::web) fn file_error(file_name: &str, message: String) -> ConfigError {
    let error = Diagnostic {
        is_error: true,
        file: file_name.into(),
        line: 0,
        column: 0,
        path: String::new(),
        message,
    };
    ConfigError {
        errors: vec![error],
        is_cut: false,
    }
}

/// Resolves the tree of a web configuration. Errors are reported to `place`; the settings are then incomplete.
fn resolve(root: &Node, place: &Place<'_>, files: &Files<'_>) -> WebSettings {
    let mut settings = WebSettings::default();
    for entry in root.entries().unwrap_or_default() {
        let is_section = yaml::fields::<WebOptions>().contains(&&*entry.key);
        let is_empty = entry.value.is_null() || entry.value.entries().is_some_and(<[_]>::is_empty);
        if is_section && is_empty {
            place
                .field(&entry.key)
                .error("is empty: add entries, or remove it");
        }
    }
    let reading = yaml::read::<WebOptions>(root, place);
    let Some(options) = reading.value else {
        return settings;
    };
    if let Some(http) = options.http_server_config
        && let Ok(http) = http.resolve(&place.field("http_server_config"))
    {
        settings.http = http;
    }
    if let Some(tls) = options.tls_server_config {
        let place = place.field("tls_server_config");
        let is_complete = !is_invalid_within(&reading.invalid, &place)
            && root
                .get("tls_server_config")
                .is_some_and(|node| !node.entries().is_some_and(<[_]>::is_empty));
        if let Ok((config, clients)) = tls.resolve(&place, settings.http.http2, is_complete, files) {
            settings.tls = Some(Arc::new(config));
            settings.clients = clients;
        }
    }
    if let Some(hashes) = options.basic_auth_users
        && let Ok(users) = users::resolve(hashes, &place.field("basic_auth_users"))
    {
        settings.users = users;
    }
    if let Some(limit) = options.rate_limit
        && let Ok(rate) = limit.resolve(&place.field("rate_limit"))
    {
        settings.rate_limit = rate;
    }
    settings
}

/// Reports whether a value within `place` could not be read.
fn is_invalid_within(invalid: &[place::Path], place: &Place<'_>) -> bool {
    invalid.iter().any(|path| path.is_within(place.path()))
}
