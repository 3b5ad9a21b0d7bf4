//! Requests `/api/status` from a running exporter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::flags::StatusFlags;
use crate::cli::connection_flags::ConnectionFlags;
use crate::cli::exporter_http::{ExporterAddress, error_detail};
use crate::config::duration::DurationText;
use crate::model::{self, Reason, Report};
use crate::net::api_client::ApiClient;
use crate::net::run_recorder::RunRecorder;

/// The maximum size of a response; enough for 100,000 checks.
const MAX_BYTES: usize = 64 << 20;

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
        let login = "use --user with --password-file or --password-env";
        let address = ExporterAddress::resolve(&flags.url, flags.connection.tls(), login)?;
        Ok(Self {
            api: ApiClient::new(address.endpoint, true, MAX_BYTES),
            host: address.host,
            path: format!("{}/api/status", address.base_path),
            shown: address.shown,
            connection: flags.connection.clone(),
        })
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
