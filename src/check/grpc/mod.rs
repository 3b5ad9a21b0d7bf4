//! The grpc check: one call of the health checking protocol (grpc.health.v1.Health/Check) on a new connection. HTTP/2 is
//! driven in the run's own task, so that a cancelled run frees its socket at once.

mod families;
mod health;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;

pub use self::families::{FAMILIES, PROBE_FAMILIES};
use self::families::{Filling, Found};
use self::health::Failure;
use super::Shared;
use crate::config::grpc::GrpcSettings;
use crate::model::{Problem, Reason, Report};
use crate::net::dial::dial;
use crate::net::http::{Exchange, Unanswered};
use crate::net::network::Network;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::{ReadBudget, Stream};
use crate::net::tls::TlsClient;

/// The method that is called.
const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Who asks.
const OWN_USER_AGENT: &str = concat!("upkeep_exporter/", env!("CARGO_PKG_VERSION"));
/// The most bytes that a run reads, TLS included.
const MAX_BYTES: u64 = 1 << 20;

/// A grpc check.
#[derive(Debug)]
pub struct GrpcCheck {
    settings: GrpcSettings,
    network: Network,
    tls: Option<TlsClient>,
    allowance: ReadBudget,
}

impl GrpcCheck {
    /// A check with these settings.
    pub fn new(settings: &GrpcSettings, shared: &Shared) -> Self {
        let tls = settings.tls.as_ref();
        Self {
            settings: settings.clone(),
            network: shared.network.clone(),
            tls: tls.map(|settings| TlsClient::new(settings, &[b"h2"], &shared.network.trust)),
            allowance: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut filling = Filling {
            report,
            found: Found::default(),
        };
        let Filling { report, found } = &mut filling;
        let mut trace = RunRecorder::new(report);
        let result = self.ask(found, &mut trace).await;
        found.has_ended = true;
        trace.end();
        result
    }

    async fn ask(&mut self, found: &mut Found, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let service = self.settings.service.clone();
        let mut exchange = self.call(&service, found, trace).await?;
        let mut body = BytesMut::new();
        loop {
            let data = exchange.data().await.inspect_err(|problem| {
                // A call that was reset, say.
                if problem.reason == Reason::Protocol {
                    found.code = Some(health::INTERNAL);
                }
            })?;
            let Some(data) = data else { break };
            if body.len() + data.len() > health::MAX_BODY_BYTES {
                found.code = Some(health::RESOURCE_EXHAUSTED);
                let message = format_args!("the answer has more than {} bytes", health::MAX_BODY_BYTES);
                return Err(self.at(&Problem::new(Reason::Limit, message)));
            }
            body.extend_from_slice(&data);
        }
        trace.answered();
        let outcome = health::outcome(exchange.head(), &body, exchange.trailers(), &service);
        let serving = outcome.map_err(|Failure { code, problem }| {
            found.code = Some(code);
            self.at(&problem)
        })?;
        found.code = Some(0);
        found.serving = Some(serving);
        health::judge(serving, &service).map_err(|problem| self.at(&problem))
    }

    /// Calls, until the head of the response is there. Where the server says that it has not processed the call (it shuts
    /// down, say), it is asked once more, on a new connection.
    async fn call(
        &mut self,
        service: &str,
        found: &mut Found,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Exchange, Problem> {
        self.allowance.renew();
        let outcome = match self.attempt(service, found, trace).await {
            Err(unanswered) if unanswered.is_unprocessed => {
                let problem = unanswered.problem;
                trace
                    .report
                    .log_step(|| format!("the server did not process the call, retrying once: {problem}"));
                self.attempt(service, found, trace).await
            }
            outcome => outcome,
        };
        outcome.map_err(|unanswered| unanswered.problem)
    }

    async fn attempt(
        &mut self,
        service: &str,
        found: &mut Found,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Exchange, Unanswered> {
        let GrpcSettings {
            address, preference, ..
        } = &self.settings;
        let (stream, peer) = dial(&self.network.resolver, address, *preference, trace).await?;
        let stream = match &mut self.tls {
            None => Stream::tcp(stream, &self.allowance)?,
            Some(tls) => {
                let secured = tls.handshake(stream, peer, &address.host, trace).await?;
                found.is_tls = true;
                if secured.connection().alpn_protocol() != Some(b"h2") {
                    let what = "it does not offer HTTP/2 (ALPN h2), which gRPC needs";
                    return Err(Problem::new(Reason::Protocol, format_args!("{peer}: {what}")).into());
                }
                Stream::tls(secured, &self.allowance)
            }
        };
        trace.enter(Phase::Processing);
        trace.at(Step::Doing(match service {
            "" => "asking for the health of the server".into(),
            service => format!("asking for the health of the service \"{service}\"").into(),
        }));
        let exchange = Exchange::http2(stream, self.request(service)?, peer).await;
        exchange.map_err(|mut unanswered| {
            if unanswered.problem.reason == Reason::Protocol {
                let message = format_args!("{} (is it a port of gRPC?)", unanswered.problem.message());
                unanswered.problem = Problem::new(Reason::Protocol, message);
            }
            unanswered
        })
    }

    fn request(&self, service: &str) -> Result<Request<Full<Bytes>>, Problem> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Request::builder()
            .method(Method::POST)
            .uri(format!(
                "{scheme}://{}{METHOD}",
                self.settings.address.authority()
            ))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"))
            .header(USER_AGENT, HeaderValue::from_static(OWN_USER_AGENT))
            .body(Full::new(health::request(service)))
            .map_err(|error| {
                let message = format_args!("{} can't be a host of HTTP/2: {error}", self.settings.address);
                Problem::new(Reason::Protocol, message)
            })
    }

    /// The problem with the server that has it.
    fn at(&self, problem: &Problem) -> Problem {
        problem.with_message(format_args!("{}: {}", self.settings.address, problem.message()))
    }
}

/// Judges the body that a server answers with. For tests with arbitrary input.
///
/// # Errors
/// Why it is not SERVING.
#[doc(hidden)]
pub fn fuzz_parse(body: &[u8]) -> Result<(), String> {
    let status = health::fuzz_parse(body)?;
    health::judge(status, "").map_err(|problem| problem.to_string())
}
