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

use std::sync::Arc;

use http::response;
use tokio::net::TcpStream;

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
use crate::config::address::HostPort;
use crate::config::http::HttpSettings;
use crate::config::probe::TargetRefusal;
use crate::config::tls::TlsSettings;
use crate::model::{Problem, Reason, Report};
use crate::net::dial::dial;
use crate::net::http::{Exchange, NoResponse};
use crate::net::io_error;
use crate::net::network::Network;
use crate::net::proxy;
use crate::net::run_recorder::{Phase, Step};
use crate::net::tls::TlsClient;

/// An http check.
#[derive(Debug)]
pub struct HttpCheck {
    settings: Arc<HttpSettings>,
    requests: Requests,
    network: Network,
    bodies: BodyBudgets,
    tls: TlsClient,
    evaluator: Evaluator,
}

impl HttpCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &HttpSettings, context: &CheckContext) -> Self {
        let settings = Arc::new(settings.clone());
        // The name of the certificate depends on the request, so it is set with every handshake.
        let tls = TlsSettings {
            server_name: None,
            ..settings.tls.clone()
        };
        let protocols: &[&[u8]] = if settings.enable_http2 {
            &[b"h2", b"http/1.1"]
        } else {
            &[b"http/1.1"]
        };
        Self {
            requests: Requests::new(settings.clone()),
            tls: TlsClient::new(&tls, protocols, &context.network.trust),
            network: context.network.clone(),
            bodies: context.bodies.clone(),
            evaluator: Evaluator::new(&context.workers),
            settings,
        }
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
                let retried = self.attempt(hop, cookies, run).await;
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
        let target = hop.url().address();
        recorder
            .report
            .log_step(|| format!("requesting {}", hop.url().shown()));
        let proxy = self
            .settings
            .proxy
            .as_ref()
            .and_then(|proxies| proxies.for_url(hop.url()));
        let address = proxy.map_or(&target, |proxy| &proxy.address);
        let mut resolver = self.network.resolver.clone();
        // The guard checks the target of a configured proxy, not the proxy itself.
        if proxy.is_some()
            && let Some(guard) = resolver.guard()
        {
            guard
                .judge_proxied(&target.host, target.port)
                .map_err(|refusal| refused(&target, refusal))?;
            resolver = Arc::new(resolver.with_guard(None));
        }
        let preference = self.settings.preference;
        let (mut stream, peer) = dial(&resolver, address, preference, None, recorder).await?;
        if !hop.url().is_https() {
            let wire = Wire { http2: false, proxy };
            let request = self.requests.build(hop, cookies, wire)?;
            if self.settings.body.is_some() {
                nodelay(&stream)?;
            }
            recorder.enter(Phase::Processing);
            recorder.at(Step::Waiting);
            return Ok(Exchange::http1(stream, request, peer, true).await?);
        }
        if let Some(proxy) = proxy {
            recorder.at(Step::Tunnelling(target.to_string()));
            let headers = self
                .settings
                .proxy
                .as_ref()
                .map_or(&[][..], |proxies| &proxies.connect_headers);
            stream = proxy::tunnel(stream, proxy, &target, headers).await?;
        }
        let secured = self
            .tls
            .handshake(stream, peer, &self.requests.tls_host(hop), recorder)
            .await?;
        let http2 = secured.connection().alpn_protocol() == Some(b"h2");
        let wire = Wire { http2, proxy: None };
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
                decoder.write(&data)?;
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

fn refused(target: &HostPort, refusal: TargetRefusal) -> Problem {
    Problem::new(
        Reason::Permission,
        format_args!("the guard refuses {target}: {refusal}"),
    )
}

fn nodelay(stream: &TcpStream) -> Result<(), Problem> {
    stream
        .set_nodelay(true)
        .map_err(|error| io_error::problem(&error, &error))
}
