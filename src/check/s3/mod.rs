//! The s3 check sends signed requests to an object store: for its buckets, or for the list of all buckets. It also queries
//! `MinIO`'s health endpoints. The response time ends with the first response to a signed request.

mod clock;
mod health;
mod request;
mod response;
mod xml;

use self::health::{CLUSTER_HEALTHY, LIVE};
use self::request::{Keys, Store};
use self::response::Verdict;
use super::CheckContext;
use crate::config::s3::{Health, S3Settings};
use crate::model::{Family, MetricType, Problem, Reason, Report, Sample, Scope, Unit};
use crate::net::api_client::{ApiClient, ApiResponse};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::endpoint::HostEndpoint;
use crate::net::run_recorder::RunRecorder;

/// Whether a bucket exists.
pub static BUCKET_PRESENT: Family = Family {
    name: "upkeep_s3_bucket_present",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["bucket"],
    help: "1 if the bucket exists, 0 if not. Absent if the key may not query it.",
};

/// The families of s3 checks.
pub const FAMILIES: &[&Family] = &[
    &BUCKET_PRESENT,
    &LIVE,
    &CLUSTER_HEALTHY,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
];

/// The maximum size of a response, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The maximum size of the list of all buckets, in bytes: some thousand buckets.
const MAX_LIST_BYTES: usize = 1 << 20;

/// An s3 check.
#[derive(Debug)]
pub struct S3Check {
    settings: S3Settings,
    store: Store,
    client: ApiClient,
}

/// Facts about the server, from the responses of a run.
#[derive(Debug, Default)]
struct ServerFacts {
    /// Whether the server responded to the last request.
    has_responded: bool,
    /// Whether the server identifies itself as `MinIO`.
    is_minio: bool,
}

impl S3Check {
    /// A check with these settings.
    pub fn new(settings: &S3Settings, context: &CheckContext) -> Self {
        let endpoint = HostEndpoint::new(&context.network, &settings.address, settings.preference)
            .with_tls(settings.tls.as_ref(), &[b"http/1.1"]);
        let max_bytes = match settings.buckets.is_empty() {
            true => MAX_LIST_BYTES,
            false => MAX_BODY_BYTES,
        };
        Self {
            store: Store::new(settings),
            client: ApiClient::new(endpoint.into(), settings.reuse_connection, max_bytes),
            settings: settings.clone(),
        }
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        self.client.begin();
        let result = self.query(&mut recorder).await;
        if result.is_err() {
            self.client.close();
        }
        recorder.end();
        result
    }

    async fn query(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let keys = Keys::read(&self.settings)?;
        let mut facts = ServerFacts::default();
        let result = match self.settings.buckets.is_empty() {
            true => self.list_buckets(&keys, &mut facts, recorder).await,
            false => self.check_buckets(&keys, &mut facts, recorder).await,
        };
        let queries_health = match self.settings.health {
            Health::Auto => facts.is_minio,
            Health::Minio => true,
            Health::None => false,
        };
        // A store that refuses requests may report the cause here. A server that did not respond is not queried again.
        if !queries_health || !facts.has_responded {
            return result;
        }
        let is_required = self.settings.health == Health::Minio;
        let health = health::query(&mut self.client, &self.store, is_required, recorder).await;
        result.and(health)
    }

    /// Lists all buckets. This request does not depend on any single bucket.
    async fn list_buckets(
        &mut self,
        keys: &Keys,
        facts: &mut ServerFacts,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let doing = "listing the buckets";
        let response = self.send_signed(None, keys, doing, facts, recorder).await?;
        match response::judge(&response, &self.store, None, doing) {
            Verdict::Accepted => Ok(()),
            Verdict::Refused(problem) => Err(problem),
            Verdict::NoBucket | Verdict::Denied => Err(self.store.problem(
                Reason::Auth,
                doing,
                "the key lacks permission (AccessDenied): allow it s3:ListAllMyBuckets, or list its buckets under buckets",
            )),
        }
    }

    /// Checks that each configured bucket exists.
    async fn check_buckets(
        &mut self,
        keys: &Keys,
        facts: &mut ServerFacts,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let (mut missing, mut denied) = (Vec::new(), Vec::new());
        let buckets = self.settings.buckets.clone();
        for bucket in &buckets {
            let doing = format!("requesting the bucket {bucket}");
            let response = self
                .send_signed(Some(bucket), keys, &doing, facts, recorder)
                .await?;
            let is_present = match response::judge(&response, &self.store, Some(bucket), &doing) {
                Verdict::Accepted => 1.0,
                Verdict::NoBucket => {
                    missing.push(bucket.as_str());
                    0.0
                }
                Verdict::Denied => {
                    denied.push(bucket.as_str());
                    continue;
                }
                Verdict::Refused(problem) => return Err(problem),
            };
            recorder.report.samples.push(Sample {
                family: &BUCKET_PRESENT,
                labels: vec![bucket.clone().into()],
                value: is_present,
            });
        }
        let not_allowed = format!(
            "the key lacks permission for the {} (AccessDenied): allow it s3:GetBucketLocation",
            bucket_names(&denied)
        );
        let warn = |reason, what: &str| Some(self.store.problem(reason, "requesting the buckets", what));
        if denied.len() == buckets.len() {
            // No request was accepted, so nothing shows that the keys are valid.
            return Err(self
                .store
                .problem(Reason::Auth, "requesting the buckets", &not_allowed));
        }
        if !missing.is_empty() {
            let what = format!(
                "the store does not have the {}: create what is missing, or correct buckets",
                bucket_names(&missing)
            );
            recorder.report.warning = warn(Reason::Missing, &what);
        } else if !denied.is_empty() {
            recorder.report.warning = warn(Reason::Auth, &not_allowed);
        }
        Ok(())
    }

    /// Sends a signed request for a bucket, or for the list of all, and returns the response.
    async fn send_signed(
        &mut self,
        bucket: Option<&str>,
        keys: &Keys,
        doing: &str,
        facts: &mut ServerFacts,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<ApiResponse, Problem> {
        facts.has_responded = false;
        let request = self.store.signed(bucket, keys, doing)?;
        let response = self.client.request(request, doing, recorder).await?;
        if recorder.report.response_time.is_none() {
            recorder.record_response_time();
        }
        facts.has_responded = true;
        facts.is_minio = health::is_minio(&response);
        Ok(response)
    }
}

/// `bucket a` or `buckets a, b`. [`Problem`] bounds the length of the message.
fn bucket_names(buckets: &[&str]) -> String {
    let word = if buckets.len() == 1 { "bucket" } else { "buckets" };
    format!("{word} {}", buckets.join(", "))
}

/// Returns the name of a document's root element, or the code of an error. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(body: &[u8]) -> Option<&str> {
    match xml::read(body)? {
        xml::Document::Error { code, .. } => Some(code),
        xml::Document::Other(name) => Some(name),
    }
}
