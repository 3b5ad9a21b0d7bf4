//! Requests `/api/status` from a running exporter.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::flags::StatusFlags;
use crate::cli::connection_flags::ConnectionFlags;
use crate::cli::show::clean;
use crate::config::address::AddressPreference;
use crate::config::duration::DurationText;
use crate::config::http::TargetUrl;
use crate::model::{self, Reason, Report};
use crate::net::api_client::ApiClient;
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The maximum size of a response; enough for 100,000 checks.
const MAX_BYTES: usize = 64 << 20;

/// How much of an error response is shown, in bytes.
const MAX_DETAIL: usize = 300;

/// A client of one exporter.
pub struct StatusClient {
    api: ApiClient,
    host: String,
    path: String,
    shown: String,
    connection: ConnectionFlags,
}

impl StatusClient {
    /// Creates a client from the flags.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn new(flags: &StatusFlags) -> Result<Self, String> {
        let client = |endpoint, host: &str, path: &str, shown: String| Self {
            api: ApiClient::new(endpoint, true, MAX_BYTES),
            host: host.to_owned(),
            path: format!("{}/api/status", base(path)),
            shown,
            connection: flags.connection.clone(),
        };
        if let Some(path) = flags.url.strip_prefix("unix:") {
            // unix:/path and unix:///path are equivalent.
            let path = path.strip_prefix("//").unwrap_or(path);
            let endpoint = Endpoint::Unix(Path::new(path).to_owned());
            return Ok(client(endpoint, "localhost", "", format!("unix:{path}")));
        }
        let (url, user_info) = TargetUrl::parse(&flags.url).map_err(|error| format!("--url: {error}"))?;
        if url.query().is_some() {
            return Err("--url: a query is not supported: remove the part from ? on".to_owned());
        }
        if user_info.is_some() {
            let message = "--url: other users can read a password on the command line: \
                           use --user with --password-file or --password-env";
            return Err(message.to_owned());
        }
        let tls = url.is_https().then(|| flags.connection.tls());
        let endpoint = HostEndpoint::new(&Network::default(), &url.address(), AddressPreference::default())
            .with_tls(tls.as_ref(), &[b"http/1.1"]);
        let shown = url.shown();
        Ok(client(
            endpoint.into(),
            url.authority(),
            url.expose().path(),
            base(&shown).to_owned(),
        ))
    }

    /// The exporter's URL, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Requests the current status and returns the body of the response.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn get(&mut self) -> Result<Bytes, String> {
        let mut report = Report::default();
        let result = tokio::time::timeout(self.connection.timeout, self.request_status(&mut report)).await;
        let timeout = DurationText(self.connection.timeout);
        result.unwrap_or_else(|_| {
            let step = match &*report.step {
                "" => String::new(),
                step => format!(" while {step}"),
            };
            Err(format!("no response from {} within {timeout}{step}", self.shown))
        })
    }

    async fn request_status(&mut self, report: &mut Report) -> Result<Bytes, String> {
        let request = self.build_request()?;
        let mut recorder = RunRecorder::new(report);
        self.api.begin();
        let answer = self
            .api
            .request(request, "requesting the status", &mut recorder)
            .await
            .map_err(|problem| {
                let advice = match problem.reason {
                    Reason::Tls => {
                        "for a server with plain HTTP, use http://; otherwise set --ca-file to a trusted certificate, or --insecure"
                    }
                    _ => "is an exporter running there?",
                };
                format!("can't get the status from {}: {}; {advice}", self.shown, problem.message())
            })?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            StatusCode::UNAUTHORIZED => Err(format!(
                "{} requires a login, or rejected this one: set --user, and --password-file or --password-env",
                self.shown
            )),
            StatusCode::NOT_FOUND => Err(format!(
                "{} has no /api/status: is it an upkeep_exporter?",
                self.shown
            )),
            other => Err(format!(
                "{} responded with {other}{}",
                self.shown,
                error_detail(&answer.body)
            )),
        }
    }

    fn build_request(&self) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::get(&self.path)
            .header(HOST, &self.host)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, model::USER_AGENT);
        if let Some(user) = &self.connection.user {
            // Read in every round, so that a changed password is used.
            let password = self.connection.read_password();
            let password = password.map_err(|error| error.to_string())?;
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            let mut value = HeaderValue::try_from(format!("Basic {pair}"))
                .map_err(|_| "--user: the name contains characters that can't be sent".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
            .body(Full::default())
            .map_err(|error| format!("--url: {error}"))
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
fn error_detail(body: &[u8]) -> String {
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
