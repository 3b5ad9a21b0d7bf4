//! The grpc check: one call of the health checking protocol (grpc.health.v1.Health/Check) on a new connection. HTTP/2 runs in
//! the task of the run, so that a cancelled run closes its socket at once.

mod families;
mod health;
mod message;
mod status;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{Method, Request};

use self::families::GrpcFindings;
pub use self::families::{FAMILIES, PROBE_FAMILIES};
use self::status::Failure;
use super::CheckContext;
use crate::config::grpc::GrpcSettings;
use crate::model::{self, Problem, Reason, Report};
use crate::net::endpoint::HostEndpoint;
use crate::net::http::{Exchange, NoResponse};
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::{Phase, RecordedRun, Step};

/// The method that is called.
const METHOD: &str = "/grpc.health.v1.Health/Check";
/// How many bytes a run reads, including TLS.
const MAX_BYTES: u64 = 1 << 20;

/// A grpc check.
#[derive(Debug)]
pub struct GrpcCheck {
    settings: GrpcSettings,
    endpoint: HostEndpoint,
    read_budget: ReadBudget,
}

impl GrpcCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &GrpcSettings, context: &CheckContext) -> Self {
        let endpoint = HostEndpoint::new(&context.network, &settings.address, settings.preference);
        Self {
            settings: settings.clone(),
            endpoint: endpoint.with_tls(settings.tls.as_deref(), &[b"h2"]),
            read_budget: ReadBudget::new(MAX_BYTES),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut run = RecordedRun::new(report, GrpcFindings::default());
        let result = self.check(&mut run).await;
        run.recorder.end();
        result
    }

    async fn check(&mut self, run: &mut RecordedRun<'_, GrpcFindings>) -> Result<(), Problem> {
        let service = self.settings.service.clone();
        let mut exchange = self.call(&service, run).await?;
        let RecordedRun { recorder, findings } = run;
        let mut body = BytesMut::new();
        loop {
            let data = exchange.data().await.inspect_err(|problem| {
                // For example, the server reset the call.
                if problem.reason == Reason::Protocol {
                    findings.code = Some(status::INTERNAL);
                }
            })?;
            let Some(data) = data else { break };
            if body.len() + data.len() > health::MAX_BODY_BYTES {
                findings.code = Some(status::RESOURCE_EXHAUSTED);
                let message = format_args!("the response has more than {} bytes", health::MAX_BODY_BYTES);
                return Err(self.with_address(&Problem::new(Reason::Limit, message)));
            }
            body.extend_from_slice(&data);
        }
        recorder.record_response_time();
        let serving = health::evaluate(exchange.head(), &body, exchange.trailers(), &service);
        let serving = serving.map_err(|Failure { code, problem }| {
            findings.code = Some(code);
            self.with_address(&problem)
        })?;
        findings.code = Some(0);
        findings.serving = Some(serving);
        health::judge(serving, &service).map_err(|problem| self.with_address(&problem))
    }

    /// Calls, and waits for the head of the response. If the server did not process the call (for example, because it shuts
    /// down), the call is retried once on a new connection.
    async fn call(
        &mut self,
        service: &str,
        run: &mut RecordedRun<'_, GrpcFindings>,
    ) -> Result<Exchange, Problem> {
        self.read_budget.renew();
        let outcome = match self.attempt(service, run).await {
            Err(unanswered) if unanswered.is_unprocessed => {
                let problem = unanswered.problem;
                run.recorder
                    .report
                    .log_step(|| format!("the server did not process the call, retrying once: {problem}"));
                self.attempt(service, run).await
            }
            outcome => outcome,
        };
        outcome.map_err(|unanswered| unanswered.problem)
    }

    async fn attempt(
        &mut self,
        service: &str,
        run: &mut RecordedRun<'_, GrpcFindings>,
    ) -> Result<Exchange, NoResponse> {
        let recorder = &mut run.recorder;
        let (stream, peer) = self.endpoint.connect(&self.read_budget, recorder).await?;
        if stream.is_tls() {
            run.findings.is_tls = true;
            if stream.alpn_protocol() != Some(b"h2") {
                let what = "the server does not offer HTTP/2 (ALPN h2), which gRPC needs";
                return Err(Problem::new(Reason::Protocol, format_args!("{peer}: {what}")).into());
            }
        }
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(match service {
            "" => "requesting the health of the server".into(),
            service => format!("requesting the health of the service \"{service}\"").into(),
        }));
        let exchange = Exchange::http2(stream, self.request(service)?, peer).await;
        exchange.map_err(|mut unanswered| {
            if unanswered.problem.reason == Reason::Protocol {
                let message = format_args!("{} (is it a gRPC port?)", unanswered.problem.message());
                unanswered.problem = Problem::new(Reason::Protocol, message);
            }
            unanswered
        })
    }

    fn request(&self, service: &str) -> Result<Request<Bytes>, Problem> {
        let scheme = if self.endpoint.is_tls() { "https" } else { "http" };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "{scheme}://{}{METHOD}",
                self.settings.address.authority()
            ))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"))
            .header(USER_AGENT, HeaderValue::from_static(model::USER_AGENT));
        for (name, value) in &self.settings.metadata {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                let message = format_args!("the metadata {name} has characters that headers can't have");
                Problem::new(Reason::Internal, message)
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(message::request(service)).map_err(|error| {
            let message = format_args!(
                "{} is not a valid host for HTTP/2: {error}",
                self.settings.address
            );
            Problem::new(Reason::Protocol, message)
        })
    }

    /// Adds the server's address to a problem.
    fn with_address(&self, problem: &Problem) -> Problem {
        problem.with_message(format_args!("{}: {}", self.settings.address, problem.message()))
    }
}

/// Evaluates a body of a response. For tests with arbitrary input.
///
/// # Errors
/// If it is malformed or not SERVING.
#[doc(hidden)]
pub fn fuzz_parse(body: &[u8]) -> Result<(), String> {
    let status = message::fuzz_parse(body)?;
    health::judge(status, "").map_err(|problem| problem.to_string())
}
