//! The s3 check: does an object store accept a signed request, are the buckets there, and what does `MinIO` say about its own
//! health. The response time lasts until the first answer to a signed request.

mod answer;
mod clock;
mod health;
mod request;
mod xml;

use self::answer::Verdict;
use self::health::{CLUSTER_HEALTHY, LIVE};
use self::request::{Keys, Store};
use super::Shared;
use crate::config::s3::{Health, S3Settings};
use crate::model::{Family, MetricType, Problem, Reason, Report, Sample, Scope, Unit};
use crate::net::api_client::{Answer, ApiClient};
use crate::net::certificates::CERTIFICATE_NOT_AFTER;
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
pub const FAMILIES: &[&Family] = &[&BUCKET_PRESENT, &LIVE, &CLUSTER_HEALTHY, &CERTIFICATE_NOT_AFTER];

/// The longest answer taken, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The longest list of all buckets taken, in bytes: some thousand buckets.
const MAX_LIST_BYTES: usize = 1 << 20;
/// An s3 check.
#[derive(Debug)]
pub struct S3Check {
    settings: S3Settings,
    store: Store,
    client: ApiClient,
}

/// What the answers of a run have told beside what was asked.
#[derive(Debug, Default)]
struct Seen {
    /// Whether the last request was answered at all.
    is_answered: bool,
    /// Whether the server says that it is `MinIO`.
    is_minio: bool,
}

impl S3Check {
    /// A check with these settings.
    pub fn new(settings: &S3Settings, shared: &Shared) -> Self {
        let endpoint = HostEndpoint::new(&shared.network, &settings.address, settings.preference)
            .with_tls(settings.tls.as_ref(), &[b"http/1.1"]);
        let most = match settings.buckets.is_empty() {
            true => MAX_LIST_BYTES,
            false => MAX_BODY_BYTES,
        };
        Self {
            store: Store::new(settings),
            client: ApiClient::new(endpoint.into(), settings.is_reusing, most),
            settings: settings.clone(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        self.client.begin();
        let result = self.ask(&mut trace).await;
        if result.is_err() {
            self.client.close();
        }
        trace.end();
        result
    }

    async fn ask(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let keys = Keys::read(&self.settings)?;
        let mut seen = Seen::default();
        let asked = match self.settings.buckets.is_empty() {
            true => self.list(&keys, &mut seen, trace).await,
            false => self.look(&keys, &mut seen, trace).await,
        };
        let asks_health = match self.settings.health {
            Health::Auto => seen.is_minio,
            Health::Minio => true,
            Health::None => false,
        };
        // A store that refuses requests may say here why; one that did not answer is not asked again.
        if !asks_health || !seen.is_answered {
            return asked;
        }
        let is_sure = self.settings.health == Health::Minio;
        let health = health::ask(&mut self.client, &self.store, is_sure, trace).await;
        asked.and(health)
    }

    /// Lists all buckets: the request whose success depends on no bucket.
    async fn list(
        &mut self,
        keys: &Keys,
        seen: &mut Seen,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let doing = "listing the buckets";
        let answer = self.signed(None, keys, doing, seen, trace).await?;
        match answer::judge(&answer, &self.store, None, doing) {
            Verdict::Accepted => Ok(()),
            Verdict::Refused(problem) => Err(problem),
            Verdict::NoBucket | Verdict::Denied => Err(self.store.problem(
                Reason::Auth,
                doing,
                "the key may not do that (AccessDenied): allow it s3:ListAllMyBuckets, or write the buckets it is for under buckets",
            )),
        }
    }

    /// Asks for each bucket.
    async fn look(
        &mut self,
        keys: &Keys,
        seen: &mut Seen,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let (mut missing, mut denied) = (Vec::new(), Vec::new());
        let buckets = self.settings.buckets.clone();
        for bucket in &buckets {
            let doing = format!("asking for the bucket {bucket}");
            let answer = self.signed(Some(bucket), keys, &doing, seen, trace).await?;
            let is_present = match answer::judge(&answer, &self.store, Some(bucket), &doing) {
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
            trace.report.samples.push(Sample {
                family: &BUCKET_PRESENT,
                labels: vec![bucket.clone().into()],
                value: is_present,
            });
        }
        let not_allowed = format!(
            "the key may not ask for the {} (AccessDenied): allow it s3:GetBucketLocation",
            named(&denied)
        );
        let warn = |reason, what: &str| Some(self.store.problem(reason, "asking for the buckets", what));
        if denied.len() == buckets.len() {
            // Nothing was accepted, so nothing shows that the key is good for anything.
            return Err(self
                .store
                .problem(Reason::Auth, "asking for the buckets", &not_allowed));
        }
        if !missing.is_empty() {
            let what = format!(
                "it lacks the {}: make what is missing, or correct buckets",
                named(&missing)
            );
            trace.report.warning = warn(Reason::Missing, &what);
        } else if !denied.is_empty() {
            trace.report.warning = warn(Reason::Auth, &not_allowed);
        }
        Ok(())
    }

    /// A signed request for a bucket, or for all of them, and its answer.
    async fn signed(
        &mut self,
        bucket: Option<&str>,
        keys: &Keys,
        doing: &str,
        seen: &mut Seen,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Answer, Problem> {
        seen.is_answered = false;
        let request = self.store.signed(bucket, keys, doing)?;
        let answer = self.client.request(request, doing, trace).await?;
        if trace.report.response_time.is_none() {
            trace.answered();
        }
        seen.is_answered = true;
        seen.is_minio = health::is_minio(&answer);
        Ok(answer)
    }
}

/// `bucket a` or `buckets a, b`. The length of a message is bounded where it is made.
fn named(buckets: &[&str]) -> String {
    let word = if buckets.len() == 1 { "bucket" } else { "buckets" };
    format!("{word} {}", buckets.join(", "))
}

/// The name of a document's outermost element, or the code of an error. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(body: &[u8]) -> Option<&str> {
    match xml::read(body)? {
        xml::Document::Error { code, .. } => Some(code),
        xml::Document::Other(name) => Some(name),
    }
}
