//! From a file to the settings of the server, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use super::clients::Demand;
use super::http::HttpSettings;
use super::pem::Files;
use super::rate::Rate;
use super::users::{self, PasswordHash};
use super::written::WebOptions;
use crate::config::place::{self, Place};
use crate::config::stamp::Stamp;
use crate::config::yaml::{self, Node};
use crate::config::{ConfigError, Located, read_document, regular_file};

/// The longest file, in bytes, be it the web configuration or one that it names.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// What to write into an empty file. It is no way to switch protection off: a file that is being written is empty too.
const EMPTY: &str = "write {} to serve without TLS and without users, or leave --web.config.file out";

/// How the server is reached, resolved.
#[derive(Clone, Debug, Default)]
pub struct WebSettings {
    /// How TLS is done; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What it demands of clients.
    pub(in crate::web) clients: Demand,
    /// How HTTP is spoken.
    pub http: HttpSettings,
    /// Who may ask; everybody where empty.
    pub users: BTreeMap<String, PasswordHash>,
    /// How many requests are answered; any number without it.
    pub rate_limit: Option<Rate>,
}

/// The files that settings come from, as they were before they were read.
pub(in crate::web) type Stamps = Vec<(PathBuf, Stamp)>;

/// Loads a file and those that it names. This may block.
///
/// # Errors
/// When a file can't be read, or anything in it is wrong: then all that is.
pub fn load(path: &Path) -> Result<WebSettings, ConfigError> {
    load_stamped(path).0
}

/// As [`load`], with the files that this depended on, whatever came of it.
pub(in crate::web) fn load_stamped(path: &Path) -> (Result<WebSettings, ConfigError>, Stamps) {
    let own = Stamp::of(path);
    let stamps = std::cell::RefCell::new(vec![(path.to_owned(), own)]);
    let read = |path: &Path| {
        // Before it is read: what is written meanwhile is read again.
        stamps.borrow_mut().push((path.to_owned(), Stamp::of(path)));
        regular_file::read(path, MAX_FILE_BYTES as u64)
    };
    let name = path.display().to_string();
    let result = match regular_file::read(path, MAX_FILE_BYTES as u64) {
        Ok(bytes) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            parse_bytes(&bytes, &name, &Files::new(directory, &read))
        }
        Err(error) => Err(whole(
            &name,
            format!("reading the web configuration file: {error}"),
        )),
    };
    (result, stamps.into_inner())
}

/// Parses a web configuration; `file_name` stands in the findings. Nothing but `files` is asked for anything.
///
/// # Errors
/// All that is wrong.
pub fn parse_bytes(bytes: &[u8], file_name: &str, files: &Files<'_>) -> Result<WebSettings, ConfigError> {
    let resolve = |root: &Node, place: &Place<'_>| resolve(root, place, files);
    read_document(bytes, MAX_FILE_BYTES, file_name, EMPTY, resolve).map(|(settings, _)| settings)
}

/// An error about the file as a whole.
pub(in crate::web) fn whole(file_name: &str, message: String) -> ConfigError {
    let error = Located {
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

/// Resolves the tree of a web configuration. What is wrong is reported; then the settings are not complete.
fn resolve(root: &Node, place: &Place<'_>, files: &Files<'_>) -> WebSettings {
    let mut settings = WebSettings::default();
    for entry in root.entries().unwrap_or_default() {
        let is_section = yaml::fields::<WebOptions>().contains(&&*entry.key);
        let is_empty = entry.value.is_null() || entry.value.entries().is_some_and(<[_]>::is_empty);
        if is_section && is_empty {
            place
                .field(&entry.key)
                .error("is empty: write what belongs there, or remove the key");
        }
    }
    let reading = yaml::read::<WebOptions>(root, place);
    let Some(written) = reading.value else {
        return settings;
    };
    if let Some(http) = written.http_server_config
        && let Ok(http) = http.resolve(&place.field("http_server_config"))
    {
        settings.http = http;
    }
    if let Some(tls) = written.tls_server_config {
        let place = place.field("tls_server_config");
        let is_whole = !is_faulty_within(&reading.faulty, &place)
            && root
                .get("tls_server_config")
                .is_some_and(|node| !node.entries().is_some_and(<[_]>::is_empty));
        if let Ok((config, clients)) = tls.resolve(&place, settings.http.http2, is_whole, files) {
            settings.tls = Some(Arc::new(config));
            settings.clients = clients;
        }
    }
    if let Some(written) = written.basic_auth_users
        && let Ok(users) = users::resolve(written, &place.field("basic_auth_users"))
    {
        settings.users = users;
    }
    if let Some(limit) = written.rate_limit
        && let Ok(rate) = limit.resolve(&place.field("rate_limit"))
    {
        settings.rate_limit = rate;
    }
    settings
}

fn is_faulty_within(faulty: &[place::Path], place: &Place<'_>) -> bool {
    faulty.iter().any(|path| path.is_within(place.path()))
}
