//! Sends one heartbeat to a running exporter.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::beat::{Beat, RunId};
use super::flags::ExporterFlags;
use crate::cli::exporter_http::{ExporterAddress, error_detail};
use crate::config::duration::DurationText;
use crate::config::heartbeat::{TokenError, is_token};
use crate::config::secret::{Secret, SecretError, SecretSource};
use crate::config::tls::{ClientCertificate, PemSource, TlsSettings};
use crate::model::{self, Problem, Reason, Report};
use crate::net::api_client::ApiClient;
use crate::net::run_recorder::RunRecorder;

/// The maximum size of a response. The exporter responds with one line; a proxy may respond with a page.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// A client of one check.
pub struct HeartbeatClient {
    api: ApiClient,
    host: String,
    base_path: String,
    shown: String,
    token: SecretSource,
    run_id: Option<RunId>,
}

/// A heartbeat was not sent, or was rejected. Never contains the token.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The token can't be read.
    #[error("{0}; set --token-file or --token-env to the token of the check")]
    Token(#[from] SecretError),
    /// The token has another form than those of the exporter.
    #[error("{0}: {1}")]
    InvalidToken(String, TokenError),
    /// The request can't be built.
    #[error("--url: {0}")]
    Url(#[from] http::Error),
    /// There is no complete response.
    #[error("{problem}; {advice}", problem = problem.message(), advice = connection_advice(problem.reason))]
    Connection {
        /// Why.
        problem: Problem,
    },
    /// There was no response in time.
    #[error("no response within {timeout}{step}", timeout = DurationText(*timeout))]
    Timeout {
        /// The time limit.
        timeout: Duration,
        /// What the client waited for.
        step: String,
    },
    /// The response has another status than 200.
    #[error("it responded with {status}{detail}{advice}", advice = status_advice(*status))]
    Rejected {
        /// The status of the response.
        status: StatusCode,
        /// The text of the response, after a colon.
        detail: String,
        /// When the server wants the next request.
        retry_after: Option<Duration>,
    },
}

impl HeartbeatError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Rejected { status, .. } => {
                status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(status)
            }
            Self::Token(_) | Self::InvalidToken(..) | Self::Url(_) => false,
        }
    }

    /// When the server wants the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn connection_advice(reason: Reason) -> &'static str {
    match reason {
        Reason::Tls => {
            "for a server with plain HTTP, use http://; otherwise set --ca-file to a trusted certificate, or --insecure"
        }
        _ => "is an exporter running there?",
    }
}

fn status_advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            "; compare the token with `token_file` of the check, and --url with the exporter's URL"
        }
        StatusCode::TOO_MANY_REQUESTS => "; the token is used too often: does each job have its own?",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; allow /api/heartbeat/ in the proxy, or set --url to the exporter itself"
        }
        status if status.is_redirection() => "; set --url to the URL that it redirects to",
        _ => "",
    }
}

impl HeartbeatClient {
    /// Creates a client from the flags.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn new(flags: &ExporterFlags, run_id: Option<RunId>) -> Result<Self, String> {
        if flags.url.contains("/api/heartbeat") {
            let message = "--url: other users can read a token on the command line: \
                           write the URL without /api/heartbeat/..., and use --token-file or --token-env";
            return Err(message.to_owned());
        }
        let token = match (&flags.token_file, &flags.token_env) {
            (Some(path), _) => SecretSource::File(path.clone()),
            (None, name) => SecretSource::Env(name.clone().unwrap_or_default()),
        };
        let client = flags.cert_file.clone().zip(flags.key_file.clone());
        let tls = TlsSettings {
            ca: flags.ca_file.clone().map(PemSource::File),
            client: client.map(|(chain, key)| ClientCertificate {
                chain: PemSource::File(chain),
                key: SecretSource::File(key),
            }),
            insecure_skip_verify: flags.insecure,
            ..TlsSettings::default()
        };
        let login = "heartbeats need a token only; use --token-file or --token-env";
        let address = ExporterAddress::resolve(&flags.url, tls, login)?;
        Ok(Self {
            api: ApiClient::new(address.endpoint, false, MAX_RESPONSE_BYTES),
            host: address.host,
            base_path: address.base_path,
            shown: address.shown,
            token,
            run_id,
        })
    }

    /// The exporter's URL, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Sends a heartbeat. Reads the token each time: it may change while a job runs.
    ///
    /// # Errors
    /// When there is no response with status 200 within `timeout`.
    pub async fn send(
        &mut self,
        beat: Beat,
        message: Bytes,
        timeout: Duration,
    ) -> Result<(), HeartbeatError> {
        let token = self.token()?;
        let request = self.build_request(&token, beat, message)?;
        let mut report = Report::default();
        let result = {
            let mut recorder = RunRecorder::new(&mut report);
            self.api.begin();
            let request = self.api.request(request, "sending the heartbeat", &mut recorder);
            tokio::time::timeout(timeout, request).await
        };
        let Ok(response) = result else {
            let step = match &*report.step {
                "" => String::new(),
                step => format!(" while {step}"),
            };
            return Err(HeartbeatError::Timeout { timeout, step });
        };
        let response = response.map_err(|problem| HeartbeatError::Connection { problem })?;
        match response.status {
            StatusCode::OK => Ok(()),
            status => Err(HeartbeatError::Rejected {
                status,
                // A proxy may repeat the path of the request.
                detail: error_detail(hide(&token, &response.body).as_bytes()),
                retry_after: response.headers.get(RETRY_AFTER).and_then(seconds),
            }),
        }
    }

    fn build_request(
        &self,
        token: &Secret,
        beat: Beat,
        message: Bytes,
    ) -> Result<Request<Full<Bytes>>, HeartbeatError> {
        let mut path = format!(
            "{}/api/heartbeat/{}{}",
            self.base_path,
            token.expose(),
            beat.suffix()
        );
        if let Some(run_id) = &self.run_id {
            path += "?rid=";
            path += run_id.as_str();
        }
        let request = Request::post(path)
            .header(HOST, &self.host)
            .header(USER_AGENT, model::USER_AGENT)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(message))?;
        Ok(request)
    }

    fn token(&self) -> Result<Secret, HeartbeatError> {
        let token = self.token.read_line()?;
        if is_token(token.expose()) {
            return Ok(token);
        }
        let source = match &self.token {
            SecretSource::File(path) => path.display().to_string(),
            SecretSource::Env(name) => format!("the environment variable {name}"),
            SecretSource::Inline(_) => "the configuration".to_owned(),
        };
        Err(HeartbeatError::InvalidToken(source, TokenError::Format))
    }
}

/// A response without the token.
fn hide(token: &Secret, body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace(token.expose(), "TOKEN")
}

/// The seconds of a `Retry-After` (RFC 9110, section 10.2.3). Its other form, a date, is ignored.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?))
}
