//! What commands that send requests to a running exporter share: its address, and the text of error responses.

use std::path::Path;

use super::show::clean;
use crate::config::address::AddressPreference;
use crate::config::http::TargetUrl;
use crate::config::tls::TlsSettings;
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::network::Network;

/// How much of an error response is shown, in bytes.
const MAX_DETAIL: usize = 300;

/// Where an exporter listens.
pub struct ExporterAddress {
    /// How to connect.
    pub endpoint: Endpoint,
    /// The `Host` of requests.
    pub host: String,
    /// The prefix of all paths, without a trailing slash.
    pub base_path: String,
    /// The URL, for messages.
    pub shown: String,
}

impl ExporterAddress {
    /// Parses `http://HOST:PORT`, `https://...` or `unix:/PATH`. `login` says how to log in without a password in the URL.
    ///
    /// # Errors
    /// When the URL is invalid, or contains a query or a password.
    pub fn resolve(url: &str, tls: TlsSettings, login: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            // unix:/path and unix:///path are equivalent.
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self {
                endpoint: Endpoint::Unix(Path::new(path).to_owned()),
                host: "localhost".to_owned(),
                base_path: String::new(),
                shown: format!("unix:{path}"),
            });
        }
        let (url, user_info) = TargetUrl::parse(url).map_err(|error| format!("--url: {error}"))?;
        if url.query().is_some() {
            return Err("--url: a query is not supported: remove the part from ? on".to_owned());
        }
        if user_info.is_some() {
            return Err(format!(
                "--url: other users can read a password on the command line: {login}"
            ));
        }
        let tls = url.is_https().then_some(tls);
        let endpoint = HostEndpoint::new(&Network::default(), &url.address(), AddressPreference::default())
            .with_tls(tls.as_ref(), &[b"http/1.1"]);
        Ok(Self {
            endpoint: endpoint.into(),
            host: url.authority().to_owned(),
            base_path: base(url.expose().path()).to_owned(),
            shown: base(&url.shown()).to_owned(),
        })
    }
}

/// A URL or path without a trailing `/api/status`.
fn base(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix("/api/status")
        .unwrap_or(url)
        .trim_end_matches('/')
}

/// The error in a response, after a colon: the field `error` of a JSON document, or the first line.
pub fn error_detail(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct ErrorResponse {
        error: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(ErrorResponse { error }) => error,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(MAX_DETAIL)]).into_owned(),
    };
    let line: String = clean(text.lines().next().unwrap_or_default())
        .chars()
        .take(MAX_DETAIL)
        .collect();
    match line.is_empty() || line.contains('<') {
        true => String::new(),
        false => format!(": {line}"),
    }
}
