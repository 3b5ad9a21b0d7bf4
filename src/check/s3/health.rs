//! `MinIO`'s health endpoints: whether the server is live, and whether its cluster has enough drives for writes.

use http::StatusCode;
use http::header::SERVER;

use super::request::Store;
use crate::model::{Family, MetricType, Problem, Reason, Sample, Scope, Unit};
use crate::net::api_client::{ApiClient, ApiResponse};
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

/// Whether the cluster accepts writes.
pub static CLUSTER_HEALTHY: Family = Family {
    name: "upkeep_s3_cluster_healthy",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "1 if MinIO reports write quorum (/minio/health/cluster), otherwise 0. Absent if not queried.",
};

struct HealthEndpoint {
    path: &'static str,
    family: &'static Family,
    doing: &'static str,
    /// The problem if the response is not 200.
    failure: &'static str,
}

const ENDPOINTS: [HealthEndpoint; 2] = [
    HealthEndpoint {
        path: "/minio/health/live",
        family: &LIVE,
        doing: "requesting MinIO's liveness",
        failure: "the server is not live: check its log",
    },
    HealthEndpoint {
        path: "/minio/health/cluster",
        family: &CLUSTER_HEALTHY,
        doing: "requesting the health of MinIO's cluster",
        failure: "the cluster has no write quorum: bring its missing drives or servers back",
    },
];

/// Whether the server identifies itself as `MinIO`.
pub fn is_minio(response: &ApiResponse) -> bool {
    let server = response.headers.get(SERVER);
    server.is_some_and(|server| server.as_bytes().starts_with(b"MinIO"))
}

/// Queries both endpoints. If `is_required`, a missing endpoint is a failure. Otherwise it is ignored, because a proxy may
/// block it.
///
/// # Errors
/// The first problem that an endpoint reports, or why there is no response.
pub async fn query(
    client: &mut ApiClient,
    store: &Store,
    is_required: bool,
    recorder: &mut RunRecorder<'_>,
) -> Result<(), Problem> {
    let mut result = Ok(());
    for endpoint in &ENDPOINTS {
        let HealthEndpoint { doing, family, .. } = endpoint;
        let Some(request) = store.plain(endpoint.path) else {
            return Err(store.problem(Reason::Internal, doing, "the request could not be made"));
        };
        let status = client.request(request, doing, recorder).await?.status;
        let problem = match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED
                if !is_required =>
            {
                continue;
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
                let what = format!(
                    "{} responded with {status}: allow it in the proxy in front of MinIO, or set health: none",
                    endpoint.path
                );
                result = result.and(Err(store.problem(Reason::Status, doing, &what)));
                continue;
            }
            StatusCode::OK => None,
            status => {
                let what = format!("{} ({} responded with {status})", endpoint.failure, endpoint.path);
                Some(store.problem(Reason::State, doing, &what))
            }
        };
        recorder.report.samples.push(Sample {
            family,
            labels: Vec::new(),
            value: f64::from(problem.is_none()),
        });
        result = result.and(problem.map_or(Ok(()), Err));
    }
    result
}
