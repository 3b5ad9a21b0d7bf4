//! An HTTP client for the servers that commands query: Prometheus, the Alertmanager, and the exporter.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::connection_flags::ConnectionFlags;
use super::exit::print_error;
use super::show::clean;
use crate::model::{Reason, USER_AGENT};
use crate::net::network::Network;
use crate::net::tls::TlsClient;
use crate::net::transport_error::{Peer, problem};

/// The maximum size of a response. A month of all series of 1,000 services has about 30 MB.
const MAX_BYTES: usize = 64 << 20;
/// How much of an error response is shown, in characters.
const MAX_DETAIL: usize = 300;

/// The longest wait that a server may ask for before the next request.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The longest time that all requests of a patient client wait together. At one request per second, a report of hundreds of services needs
/// minutes.
const MAX_TOTAL_WAIT: Duration = Duration::from_secs(900);

/// A client of one server.
#[derive(Debug)]
pub struct ServerClient {
    client: reqwest::Client,
    peer: Peer,
    base: Url,
    /// The flag of the URL, for messages.
    flag: &'static str,
    connection: ConnectionFlags,
    /// How long all requests may wait together.
    max_total_wait: Duration,
    /// How long requests waited because the server asked for it, in seconds.
    waited: AtomicU64,
}

/// The response is an error. The text says which.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct RequestError {
    text: String,
    /// When the server wants the next request.
    retry_after: Option<Duration>,
}

impl RequestError {
    /// An error with this text.
    pub const fn new(text: String) -> Self {
        Self {
            text,
            retry_after: None,
        }
    }
}

impl ServerClient {
    /// Creates a client of the server at `url`, the value of `flag`.
    ///
    /// # Errors
    /// When the URL or a flag of the connection is not valid.
    pub fn new(flag: &'static str, url: &str, connection: &ConnectionFlags) -> Result<Self, String> {
        let base = parse_base(url).map_err(|error| format!("{flag}: {error}"))?;
        let host = base.host_str().unwrap_or_default();
        let port = base.port_or_known_default().unwrap_or_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(connection.timeout);
        let mut certificates = None;
        if base.scheme() == "https" {
            let mut tls = TlsClient::new(&connection.tls(), &[b"http/1.1"], &Network::default().trust);
            let failed = |problem: crate::model::Problem| problem.message().to_owned();
            let name = tls.server_name(host).map_err(failed)?;
            let (config, recorder) = tls.config().map_err(failed)?;
            builder = builder.tls_backend_preconfigured(ClientConfig::clone(&config));
            certificates = Some((Arc::clone(&recorder), name));
        }
        Ok(Self {
            client: builder
                .build()
                .map_err(|error| format!("creating the HTTP client: {error}"))?,
            peer: Peer {
                server: format!("{host}:{port}"),
                certificates,
            },
            base,
            flag,
            connection: connection.clone(),
            max_total_wait: Duration::ZERO,
            waited: AtomicU64::new(0),
        })
    }

    /// Lets requests wait when the server limits their rate.
    #[must_use]
    pub fn patient(self) -> Self {
        Self {
            max_total_wait: MAX_TOTAL_WAIT,
            ..self
        }
    }

    /// The URL of the server, for messages.
    pub fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Requests a document. `path` is relative to the URL of the server, and `doing` says what for. If the server has too many requests
    /// and says when it accepts the next one, a patient client waits for that time.
    ///
    /// # Errors
    /// When the request fails, or the status is not successful.
    pub async fn get(&self, path: &str, query: &[(&str, &str)], doing: &str) -> Result<Bytes, RequestError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        loop {
            let error = match self.send(self.client.get(url.clone()), doing).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match error.retry_after {
                Some(wait) if self.may_wait(wait) => tokio::time::sleep(wait).await,
                _ => return Err(error),
            }
        }
    }

    /// Whether a request may wait for this time. Says so on the terminal the first time.
    fn may_wait(&self, wait: Duration) -> bool {
        let waited = Duration::from_secs(self.waited.load(Ordering::Relaxed));
        if wait > MAX_WAIT || waited + wait > self.max_total_wait {
            return false;
        }
        if waited.is_zero() {
            print_error(&format!(
                "{} limits the rate of requests; waiting as it asks for",
                self.shown()
            ));
        }
        self.waited.fetch_add(wait.as_secs(), Ordering::Relaxed);
        true
    }

    /// Requests a JSON document. See [`Self::get`].
    ///
    /// # Errors
    /// Also when the document has another form.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        doing: &str,
    ) -> Result<T, RequestError> {
        let body = self.get(path, query, doing).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let shown = self.shown();
            RequestError::new(format!("{doing} at {shown}: unexpected response: {error}"))
        })
    }

    /// Sends a JSON document. See [`Self::get`].
    ///
    /// # Errors
    /// When the request fails, or the status is not successful.
    pub async fn post_json(
        &self,
        path: &str,
        document: &impl Serialize,
        doing: &str,
    ) -> Result<(), RequestError> {
        let failed = |error: &dyn Display| RequestError::new(format!("{doing}: {error}"));
        let body = serde_json::to_vec(document).map_err(|error| failed(&error))?;
        let request = self
            .client
            .post(self.url(path)?)
            .header("content-type", "application/json")
            .body(body);
        self.send(request, doing).await.map(drop)
    }

    fn url(&self, path: &str) -> Result<Url, RequestError> {
        let joined = self.base.join(path);
        joined.map_err(|error| RequestError::new(format!("{}: {error}", self.flag)))
    }

    async fn send(&self, mut request: RequestBuilder, doing: &str) -> Result<Bytes, RequestError> {
        let shown = self.shown();
        if let Some(user) = &self.connection.user {
            let password = self.connection.read_password();
            let password = password.map_err(|error| RequestError::new(error.to_string()))?;
            request = request.basic_auth(user, Some(password.expose()));
        }
        let transport = |error: &reqwest::Error| {
            if error.is_timeout() {
                let timeout = crate::config::duration::DurationText(self.connection.timeout);
                return RequestError::new(format!("{doing}: no response from {shown} within {timeout}"));
            }
            let problem = problem(error, &self.peer, doing);
            let advice = match problem.reason {
                Reason::Tls => {
                    "; set --ca-file to a trusted certificate, or use http:// for a server without TLS"
                }
                _ => "",
            };
            RequestError::new(format!("{}{advice}", problem.message()))
        };
        let mut response = request.send().await.map_err(|error| transport(&error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                let message = format!("{doing}: the response of {shown} has more than {MAX_BYTES} bytes");
                return Err(RequestError::new(message));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            status if status.is_success() => Ok(body.freeze()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RequestError::new(format!(
                "{doing}: {shown} requires a login, or rejected this one ({status}): set --user, and \
                 --password-file or --password-env"
            ))),
            status if status.is_redirection() => Err(RequestError::new(format!(
                "{doing}: {shown} redirects ({status}): set {} to the final URL",
                self.flag
            ))),
            status => Err(RequestError {
                text: format!("{doing}: {shown} responded with {status}{}", detail(&body)),
                retry_after,
            }),
        }
    }
}

/// When a server that has too many requests wants the next one (RFC 9110, section 10.2.3). A date is not supported. At least a second, so
/// that requests do not repeat without a pause.
fn retry_after(response: &Response) -> Option<Duration> {
    let is_busy =
        [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status());
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    is_busy.then(|| Duration::from_secs(seconds).max(Duration::from_secs(1)))
}

/// Parses a URL of a server. Its path ends with a slash, so that paths can be joined.
fn parse_base(text: &str) -> Result<Url, String> {
    let example = "write a URL such as http://localhost:9093";
    let mut url = Url::parse(text).map_err(|error| format!("\"{text}\" is not a URL: {error}: {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme {} is not supported: {example}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = "other users can read a password on the command line: \
                       use --user with --password-file or --password-env";
        return Err(message.to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query is not supported: remove the part from ? or # on".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// The first line of an error response, after a colon.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_DETAIL)]).into_owned();
    let line: String = clean(text.lines().next().unwrap_or_default())
        .chars()
        .take(MAX_DETAIL)
        .collect();
    match line.is_empty() || line.contains('<') {
        true => String::new(),
        false => format!(": {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_with_a_path() {
        let base = |text| parse_base(text).map(|url| url.to_string());
        assert_eq!(base("http://h:9093").unwrap(), "http://h:9093/");
        assert_eq!(base("https://h/alerts").unwrap(), "https://h/alerts/");
        for (wrong, part) in [
            ("localhost:9093", "the scheme localhost"),
            ("h", "is not a URL"),
            ("ftp://h", "the scheme ftp"),
            ("http://u:p@h", "--password-file"),
            ("http://h/?a=b", "remove the part from ?"),
        ] {
            let error = base(wrong).unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }
}
