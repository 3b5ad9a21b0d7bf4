//! The http check: one request on a new connection. It follows redirects and compares the response with the assertions. A
//! wrong status, version or header ends the run before the body is read.

mod body;
mod cookies;
mod deprecation;
mod evaluate;
mod extract;
mod families;
mod findings;
mod json;
mod judge;
mod probe_samples;
mod redirects;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{StatusCode, response};

use self::body::BodyDecoder;
use self::cookies::Cookies;
use self::deprecation::Deprecation;
#[doc(hidden)]
pub use self::deprecation::fuzz_parse as fuzz_parse_deprecation;
#[doc(hidden)]
pub use self::extract::fuzz_parse;
pub use self::families::{FAMILIES, PHASE_DURATION, STATUS_CODE};
use self::findings::{HttpFindings, Run};
pub use self::probe_samples::PROBE_FAMILIES;
use self::request::{Hop, Requests, Wire};
use super::CheckContext;
use super::body_budget::BodyBudgets;
use super::workers::{Evaluator, MAX_WAIT};
use crate::config::http::HttpSettings;
use crate::config::tls::TlsSettings;
use crate::model::{Problem, Reason, Report};
use crate::net::http::{Exchange, NoResponse};
use crate::net::oauth2::{Token, TokenClient};
use crate::net::proxy::{Connected, Connector, ProxyStream};
use crate::net::run_recorder::{Phase, Step};
use crate::net::tls::TlsClient;

/// Other tasks run after this much of a body was decoded at once.
const MAX_DECODED_BYTES: u64 = 4 << 20;

/// An http check.
#[derive(Debug)]
pub struct HttpCheck {
    settings: Arc<HttpSettings>,
    requests: Requests,
    connector: Connector,
    bodies: BodyBudgets,
    /// Built for the first https URL, which may follow from a redirect.
    tls: Option<Box<TlsClient>>,
    /// Requests the token, if the check needs one.
    tokens: Option<Box<TokenClient>>,
    evaluator: Evaluator,
}

impl HttpCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &Arc<HttpSettings>, context: &CheckContext) -> Self {
        Self {
            requests: Requests::new(settings.clone()),
            tls: None,
            connector: Connector::new(
                &context.network,
                settings.proxy.as_ref(),
                settings.preference,
                &settings.tls,
            ),
            tokens: settings
                .oauth2
                .as_ref()
                .map(|settings| Box::new(TokenClient::new(settings, &context.network, &context.tokens))),
            bodies: context.bodies.clone(),
            evaluator: Evaluator::new(&context.workers),
            settings: settings.clone(),
        }
    }

    /// The TLS client.
    fn tls(&mut self) -> &mut TlsClient {
        let Self {
            settings, connector, ..
        } = self;
        self.tls.get_or_insert_with(|| {
            // The name of the certificate depends on the request, so it is set with every handshake.
            let tls = TlsSettings {
                server_name: None,
                ..settings.tls.clone()
            };
            let protocols: &[&[u8]] = match settings.enable_http2 {
                true => &[b"h2", b"http/1.1"],
                false => &[b"http/1.1"],
            };
            Box::new(TlsClient::new(&tls, protocols, &connector.network().trust))
        })
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        if self.settings.enable_http3 {
            let message = "HTTP/3 is not supported: remove enable_http3";
            return Err(Problem::new(Reason::Protocol, message));
        }
        self.evaluator.begin_run();
        let mut run = Run::new(report, HttpFindings::new(self.settings.assertions.has_cel()));
        let result = self.follow_redirects(&mut run).await;
        run.recorder.end();
        result
    }

    /// Requests the URL and follows redirects.
    async fn follow_redirects(&mut self, run: &mut Run<'_>) -> Result<(), Problem> {
        let token = match self.tokens {
            Some(_) => Box::pin(self.token(run)).await?,
            None => None,
        };
        self.requests.token = token.as_ref().map(|token| token.header.clone());
        let mut hop = self.requests.first();
        let mut redirects = 0;
        let mut cookies = Cookies::default();
        loop {
            run.findings.status = None;
            run.findings.facts.clear_response();
            let mut exchange = self.exchange(&hop, &cookies, run).await?;
            let head = exchange.head();
            run.findings.status = Some(head.status);
            run.findings.deprecation = Deprecation::read(&head.headers, run.recorder.report);
            if let (Some(tokens), Some(token)) = (&self.tokens, &token)
                && head.status == StatusCode::UNAUTHORIZED
                && self.requests.sends_credentials(&hop)
            {
                tokens.discard(token);
            }
            // Only for probes, because parsing dates costs time in every run.
            let is_probe = run.recorder.report.probe.is_some();
            if is_probe {
                run.findings.facts.record_head(head, hop.url().is_https());
            }
            let next = match self.settings.max_redirects {
                Some(_) => hop.redirect(head, self.settings.url.expose())?,
                None => {
                    if is_probe
                        && hop
                            .redirect(head, self.settings.url.expose())
                            .is_ok_and(|next| next.is_some())
                    {
                        run.findings.facts.record_redirect();
                    }
                    None
                }
            };
            let Some(next) = next else {
                return self.judge(&hop, &mut exchange, run).await;
            };
            redirects += 1;
            run.findings.facts.record_redirect();
            if self.settings.max_redirects.is_some_and(|limit| redirects > limit) {
                run.recorder.record_response_time();
                let message = format!(
                    "more than {} redirects, the last one from {} to {}",
                    redirects - 1,
                    hop.url().shown(),
                    next.url().shown()
                );
                return Err(Problem::new(Reason::Limit, message));
            }
            cookies.store(&exchange.head().headers, hop.url().expose());
            hop = next;
        }
    }

    /// The token that the requests need.
    async fn token(&mut self, run: &mut Run<'_>) -> Result<Option<Token>, Problem> {
        let Some(tokens) = &mut self.tokens else {
            return Ok(None);
        };
        let token = tokens.token(&mut run.recorder).await;
        // blackbox_exporter resolves the target before it requests the token.
        if token.is_err() && run.recorder.report.probe.is_some() {
            self.connector
                .resolve(&self.settings.url, &mut run.recorder)
                .await;
        }
        token.map(Some)
    }

    /// Connects, sends the request, and waits for the head of the response. If the server did not process the request (for
    /// example, because it shuts down), the request is retried once on a new connection.
    async fn exchange(
        &mut self,
        hop: &Hop,
        cookies: &Cookies,
        run: &mut Run<'_>,
    ) -> Result<Exchange, Problem> {
        match self.attempt(hop, cookies, run).await {
            Err(unanswered) if unanswered.is_unprocessed => {
                let problem = unanswered.problem;
                let report = &mut run.recorder.report;
                report
                    .log_step(|| format!("the server did not process the request, retrying once: {problem}"));
                let retried = Box::pin(self.attempt(hop, cookies, run)).await;
                retried.map_err(|unanswered| unanswered.problem)
            }
            outcome => outcome.map_err(|unanswered| unanswered.problem),
        }
    }

    async fn attempt(
        &mut self,
        hop: &Hop,
        cookies: &Cookies,
        run: &mut Run<'_>,
    ) -> Result<Exchange, NoResponse> {
        let recorder = &mut run.recorder;
        recorder
            .report
            .log_step(|| format!("requesting {}", hop.url().shown()));
        let Connected {
            stream,
            peer,
            forwarder,
        } = self.connector.connect(hop.url(), recorder).await?;
        if hop.url().is_https() {
            // Boxed, so that runs without TLS are small.
            return Box::pin(self.attempt_over_tls(stream, peer, hop, cookies, run)).await;
        }
        let wire = Wire {
            http2: false,
            forwarder,
        };
        let request = self.requests.build(hop, cookies, wire)?;
        if self.settings.body.is_some() {
            stream.set_nodelay()?;
        }
        recorder.enter(Phase::Processing);
        recorder.at(Step::Waiting);
        let is_plain = !stream.is_tls();
        Ok(Exchange::http1(stream, request, peer, is_plain).await?)
    }

    /// Does the TLS handshake with the target, sends the request, and waits for the head of the response.
    async fn attempt_over_tls(
        &mut self,
        stream: ProxyStream,
        peer: SocketAddr,
        hop: &Hop,
        cookies: &Cookies,
        run: &mut Run<'_>,
    ) -> Result<Exchange, NoResponse> {
        let recorder = &mut run.recorder;
        recorder.at(Step::Handshake(peer));
        stream.set_nodelay()?;
        let host = self.requests.tls_host(hop);
        let secured = self.tls().handshake_over(stream, &peer, &host, recorder).await?;
        let http2 = secured.connection().alpn_protocol() == Some(b"h2");
        let wire = Wire {
            http2,
            forwarder: None,
        };
        let request = self.requests.build(hop, cookies, wire)?;
        recorder.enter(Phase::Processing);
        recorder.at(Step::Waiting);
        match http2 {
            true => Exchange::http2(secured, request, peer).await,
            false => Ok(Exchange::http1(secured, request, peer, false).await?),
        }
    }

    /// Compares the final response with the assertions and extracts values from it.
    async fn judge(&self, hop: &Hop, exchange: &mut Exchange, run: &mut Run<'_>) -> Result<(), Problem> {
        let recorder = &mut run.recorder;
        let assertions = &self.settings.assertions;
        // The response time does not include the evaluation of the head.
        let received_head = recorder.leave();
        let head: &response::Parts = exchange.head();
        let sent_credentials = self.requests.sends_credentials(hop);
        let verdict = self
            .evaluate_head(head, sent_credentials, recorder.within(MAX_WAIT))
            .await;
        recorder.started += received_head.elapsed();
        recorder.enter(Phase::Transfer);
        let protocol = judge::protocol(assertions, head.version, hop.url().is_https());
        let is_probe = recorder.report.probe.is_some();
        // A probe reads the body in any case, because it has samples about the length of the body and about regular expressions.
        if !is_probe && (verdict.is_err() || protocol.is_err()) {
            recorder.record_response_time();
            run.findings.record_error(verdict)?;
            return protocol;
        }
        let may_be_missing = hop.has_no_body(head.status);
        let limit = self.settings.body_size_limit;
        let need_body = verdict.is_ok() && (assertions.need_body() || !self.settings.extraction.is_empty());
        let mut decoder = BodyDecoder::new(
            self.settings.compression,
            limit,
            need_body,
            self.bodies.budget(is_probe),
        );
        let mut received: u64 = 0;
        recorder.at(Step::Reading(0));
        let read = async {
            while let Some(data) = exchange.data().await? {
                received += data.len() as u64;
                recorder.at(Step::Reading(received));
                for piece in data.chunks(decoder.piece_bytes()) {
                    let before = decoder.total();
                    decoder.write(piece)?;
                    if decoder.total() - before > MAX_DECODED_BYTES {
                        tokio::task::yield_now().await;
                    }
                }
            }
            Ok(())
        };
        let read: Result<(), Problem> = read.await;
        run.findings.facts.uncompressed = limit.map_or(decoder.total(), |limit| decoder.total().min(limit));
        let read = read.and_then(|()| decoder.finish(may_be_missing));
        recorder.record_response_time();
        run.findings.record_error(verdict)?;
        let body = read?;
        run.findings.facts.uncompressed = body.total();
        if !need_body {
            return protocol;
        }
        run.recorder.at(Step::Evaluating);
        let wait = run.recorder.within(MAX_WAIT);
        let evaluated = self.evaluate_body(body, wait).await;
        let extracted = run.findings.record_error(evaluated)?;
        protocol?;
        run.recorder.report.warning = extracted.warning;
        run.findings.extracted = extracted.samples;
        Ok(())
    }
}
