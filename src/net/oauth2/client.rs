//! Requests tokens for one check, from the server that the configuration names. The guard of probes does not apply to it.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::grant::{self, CredentialsIn};
use super::{Granted, SharedToken, Token, Tokens};
use crate::config::address::AddressPreference;
use crate::config::http::OAuth2Settings;
use crate::config::secret::Secret;
use crate::config::tls::TlsSettings;
use crate::model::{Problem, Reason, Report};
use crate::net::http::Exchange;
use crate::net::network::Network;
use crate::net::proxy::{Connected, Connector};
use crate::net::run_recorder::{RunRecorder, Step};
use crate::net::shortage;
use crate::net::tls::TlsClient;

/// The longest response of a token endpoint, in bytes. Headers have the same limit, and the token is sent in one.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Requests the tokens of one check.
#[derive(Debug)]
pub struct TokenClient {
    settings: Arc<OAuth2Settings>,
    shared: Arc<SharedToken>,
    connector: Connector,
    tls: TlsClient,
    /// Whether the server accepts the credentials in the body only.
    needs_body: bool,
}

impl TokenClient {
    /// A client whose token is shared with all others that have equal settings.
    pub fn new(settings: &Arc<OAuth2Settings>, network: &Network, tokens: &Tokens) -> Self {
        let resolver = match network.resolver.guard() {
            Some(_) => Arc::new(network.resolver.with_guard(None)),
            None => network.resolver.clone(),
        };
        let network = Network {
            resolver,
            trust: network.trust.clone(),
        };
        let tls = TlsSettings::clone(&settings.tls);
        Self {
            connector: Connector::new(
                &network,
                settings.proxy.as_ref(),
                AddressPreference::default(),
                &tls,
            ),
            tls: TlsClient::new(&tls, &[b"http/1.1"], &network.trust),
            shared: tokens.get(settings),
            settings: settings.clone(),
            needs_body: false,
        }
    }

    /// Returns the token. Requests one if there is none; the time for that is not part of the response time.
    ///
    /// # Errors
    /// Why there is no token, with the reason `auth`.
    pub async fn token(&mut self, recorder: &mut RunRecorder<'_>) -> Result<Token, Problem> {
        let secret = self.settings.client_secret.as_ref();
        let secret = secret.map(|source| source.read_line()).transpose();
        let secret = secret.map_err(|error| shortage::problem(Reason::Auth, &error, &error))?;
        let started = Instant::now();
        let shared = self.shared.clone();
        let step = format!("requesting a token from {}", self.settings.token_url.shown());
        let mut report = Report {
            deadline: recorder.report.deadline,
            ..Report::default()
        };
        if !shared.has(secret.as_ref()) {
            recorder.at(Step::Doing(step.clone().into()));
        }
        let request = self.request(secret.as_ref(), &step, &mut report);
        let token = shared.get(secret.as_ref(), request).await?;
        token.text.expose();
        recorder.started += started.elapsed();
        Ok(token)
    }

    /// Forgets a token that the target rejected.
    pub fn discard(&self, token: &Token) {
        self.shared.discard(token);
    }

    /// Requests a token, with the client's credentials first in the header and then in the body.
    async fn request(
        &mut self,
        secret: Option<&Secret>,
        step: &str,
        report: &mut Report,
    ) -> Result<Granted, Problem> {
        let failed = |problem: &Problem| {
            let message = format_args!("{step}: {}", problem.message());
            match problem.shortage {
                Some(_) => problem.with_message(message),
                None => Problem::new(Reason::Auth, message),
            }
        };
        let mut places = vec![CredentialsIn::Header, CredentialsIn::Body];
        if self.needs_body {
            places.reverse();
        }
        let mut first_error = None;
        for place in places {
            let exchanged = self.exchange(secret, place, report).await;
            let (status, granted) = exchanged.map_err(|problem| failed(&problem))?;
            match granted {
                Ok(granted) => {
                    self.needs_body = place == CredentialsIn::Body;
                    return Ok(granted);
                }
                Err(error) => {
                    let error = first_error.get_or_insert(error);
                    // Only these responses say that the credentials are not accepted (RFC 6749, section 5.2).
                    if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
                        return Err(Problem::new(Reason::Auth, format_args!("{step}: {error}")));
                    }
                }
            }
        }
        let error = first_error.unwrap_or_default();
        Err(Problem::new(Reason::Auth, format_args!("{step}: {error}")))
    }

    /// Sends one request, on a connection of its own.
    async fn exchange(
        &mut self,
        secret: Option<&Secret>,
        place: CredentialsIn,
        report: &mut Report,
    ) -> Result<(StatusCode, Result<Granted, String>), Problem> {
        let url = &self.settings.token_url;
        // The records of this run are about the target, so those about the token endpoint are dropped.
        let recorder = &mut RunRecorder::new(report);
        let Connected {
            stream,
            peer,
            forwarder,
        } = self.connector.connect(url, recorder).await?;
        let request = grant::request(&self.settings, secret, place, forwarder)?;
        stream.set_nodelay()?;
        let mut exchange = match url.is_https() {
            false => {
                let is_plain = !stream.is_tls();
                Exchange::http1(stream, request, peer, is_plain).await?
            }
            true => {
                let host = url.address().host;
                let secured = self.tls.handshake_over(stream, &peer, &host, recorder).await?;
                Exchange::http1(secured, request, peer, false).await?
            }
        };
        let mut body = Vec::new();
        while let Some(data) = exchange.data().await? {
            if body.len() + data.len() > MAX_RESPONSE_BYTES {
                let message = format_args!("the response has more than {MAX_RESPONSE_BYTES} bytes");
                return Err(Problem::new(Reason::Limit, message));
            }
            body.extend_from_slice(&data);
        }
        let head = exchange.head();
        let granted = grant::parse_response(head.status, &head.headers, &body);
        Ok((head.status, granted))
    }
}
