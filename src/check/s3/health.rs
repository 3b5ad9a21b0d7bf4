//! What `MinIO` says about itself: whether the server is live, and whether its cluster has enough drives to take writes.

use http::StatusCode;
use http::header::SERVER;

use super::request::Store;
use crate::model::{Family, MetricType, Problem, Reason, Sample, Scope, Unit};
use crate::net::api_client::{Answer, ApiClient};
use crate::net::run_recorder::RunRecorder;

/// Whether the server is live.
pub static LIVE: Family = Family {
    name: "upkeep_s3_live",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "1 if MinIO reports that the server is live (/minio/health/live), otherwise 0. Absent if not queried.",
};

/// Whether the cluster can take writes.
pub static CLUSTER_HEALTHY: Family = Family {
    name: "upkeep_s3_cluster_healthy",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "1 if MinIO reports write quorum (/minio/health/cluster), otherwise 0. Absent if not queried.",
};

struct Question {
    path: &'static str,
    family: &'static Family,
    doing: &'static str,
    no: &'static str,
}

const QUESTIONS: [Question; 2] = [
    Question {
        path: "/minio/health/live",
        family: &LIVE,
        doing: "asking MinIO whether it is live",
        no: "it is not: see its log",
    },
    Question {
        path: "/minio/health/cluster",
        family: &CLUSTER_HEALTHY,
        doing: "asking MinIO for the health of its cluster",
        no: "it has no write quorum: bring its missing drives or servers back",
    },
];

/// Whether a server says that it is `MinIO`.
pub fn is_minio(answer: &Answer) -> bool {
    let server = answer.headers.get(SERVER);
    server.is_some_and(|server| server.as_bytes().starts_with(b"MinIO"))
}

/// Asks both questions. Where it `is_sure` that this is `MinIO`, not to find the answers is a failure; else a proxy may keep
/// them from us.
///
/// # Errors
/// The first bad answer, or why there is none.
pub async fn ask(
    client: &mut ApiClient,
    store: &Store,
    is_sure: bool,
    trace: &mut RunRecorder<'_>,
) -> Result<(), Problem> {
    let mut result = Ok(());
    for question in &QUESTIONS {
        let Question { doing, family, .. } = question;
        let Some(request) = store.plain(question.path) else {
            return Err(store.problem(Reason::Internal, doing, "the request could not be made"));
        };
        let status = client.request(request, doing, trace).await?.status;
        let problem = match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED if !is_sure => {
                continue;
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
                let what = format!(
                    "{} answered {status}: let it through where a proxy stands before MinIO, or write health: none",
                    question.path
                );
                result = result.and(Err(store.problem(Reason::Status, doing, &what)));
                continue;
            }
            StatusCode::OK => None,
            status => {
                let what = format!("{} ({} answered {status})", question.no, question.path);
                Some(store.problem(Reason::State, doing, &what))
            }
        };
        trace.report.samples.push(Sample {
            family,
            labels: Vec::new(),
            value: f64::from(problem.is_none()),
        });
        result = result.and(problem.map_or(Ok(()), Err));
    }
    result
}
