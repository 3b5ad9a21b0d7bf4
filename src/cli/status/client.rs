//! Asking a running exporter for its `/api/status`.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::StatusFlags;
use crate::cli::show::clean;
use crate::config::address::AddressPreference;
use crate::config::duration::DurationText;
use crate::config::http::TargetUrl;
use crate::config::secret::{Secret, SecretSource};
use crate::config::tls::{PemSource, TlsSettings};
use crate::model::{self, Reason, Report};
use crate::net::api_client::ApiClient;
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The longest document that is read: 100,000 checks fit.
const MAX_BYTES: usize = 64 << 20;

/// As much of another answer is told, in bytes.
const MAX_SAID: usize = 300;

/// A client of one exporter.
pub struct Client {
    api: ApiClient,
    host: String,
    path: String,
    shown: String,
    user: Option<String>,
    password: Option<SecretSource>,
    timeout: Duration,
}

impl Client {
    /// The client that the flags describe.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn new(flags: &StatusFlags) -> Result<Self, String> {
        let password = match (&flags.password_file, &flags.password_env) {
            (Some(path), _) => Some(SecretSource::File(path.clone())),
            (None, Some(name)) => Some(SecretSource::Env(name.clone())),
            (None, None) => None,
        };
        let client = |endpoint, host: &str, path: &str, shown: String| Self {
            api: ApiClient::new(endpoint, true, MAX_BYTES),
            host: host.to_owned(),
            path: format!("{}/api/status", base(path)),
            shown,
            user: flags.user.clone(),
            password,
            timeout: flags.timeout,
        };
        if let Some(path) = flags.url.strip_prefix("unix:") {
            // unix:/path and unix:///path are the same.
            let path = path.strip_prefix("//").unwrap_or(path);
            let endpoint = Endpoint::Unix(Path::new(path).to_owned());
            return Ok(client(endpoint, "localhost", "", format!("unix:{path}")));
        }
        let (url, user_info) = TargetUrl::parse(&flags.url).map_err(|error| format!("--url: {error}"))?;
        if url.expose().query().is_some() {
            return Err("--url: a query has no meaning here: leave out what begins with ?".to_owned());
        }
        if user_info.is_some() {
            let message = "--url: a password on the command line can be read by everybody on this machine: \
                           give --user, and --password-file or --password-env";
            return Err(message.to_owned());
        }
        let tls = url.is_https().then(|| TlsSettings {
            ca: flags.ca_file.clone().map(PemSource::File),
            insecure_skip_verify: flags.insecure,
            ..TlsSettings::default()
        });
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

    /// The document as it is now.
    ///
    /// # Errors
    /// Why there is none, for a person.
    pub async fn get(&mut self) -> Result<Bytes, String> {
        let mut report = Report::default();
        let result = tokio::time::timeout(self.timeout, self.ask(&mut report)).await;
        let timeout = DurationText(self.timeout);
        result.unwrap_or_else(|_| {
            let step = match &*report.step {
                "" => String::new(),
                step => format!(" while {step}"),
            };
            Err(format!("no answer from {} within {timeout}{step}", self.shown))
        })
    }

    async fn ask(&mut self, report: &mut Report) -> Result<Bytes, String> {
        let request = self.request()?;
        let mut trace = RunRecorder::new(report);
        self.api.begin();
        let answer = self
            .api
            .request(request, "asking for the status", &mut trace)
            .await
            .map_err(|problem| {
                let advice = match problem.reason {
                    Reason::Tls => {
                        "if it speaks plain HTTP, ask http://; else name its certificate, or its authority's, by --ca-file, or give --insecure"
                    }
                    _ => "does an exporter run there?",
                };
                format!("no status from {}: {}; {advice}", self.shown, problem.message())
            })?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            StatusCode::UNAUTHORIZED => Err(format!(
                "{} asks for a login, or does not take this one: give --user, and --password-file or --password-env",
                self.shown
            )),
            StatusCode::NOT_FOUND => Err(format!(
                "{} has no /api/status: is it an upkeep_exporter, and not an older one?",
                self.shown
            )),
            other => Err(format!(
                "{} answered {other} instead of its status{}",
                self.shown,
                said(&answer.body)
            )),
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::get(&self.path)
            .header(HOST, &self.host)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, model::USER_AGENT);
        if let Some(user) = &self.user {
            let password = match &self.password {
                // Read at each round, so that a long watch follows a password that changes.
                Some(source) => source.read_line().map_err(|error| error.to_string())?,
                None => Secret::new(""),
            };
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            let mut value = HeaderValue::try_from(format!("Basic {pair}"))
                .map_err(|_| "--user: this can't be sent as a name".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
            .body(Full::default())
            .map_err(|error| format!("--url: {error}"))
    }
}

/// A URL or its path without what is asked for there anyway.
fn base(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix("/api/status")
        .unwrap_or(url)
        .trim_end_matches('/')
}

/// What an answer says for itself, after a colon: the error of a JSON, or else the first line.
fn said(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Told {
        error: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Told { error }) => error,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(MAX_SAID)]).into_owned(),
    };
    let line: String = clean(text.lines().next().unwrap_or_default())
        .chars()
        .take(MAX_SAID)
        .collect();
    match line.is_empty() || line.contains('<') {
        true => String::new(),
        false => format!(": {line}"),
    }
}
