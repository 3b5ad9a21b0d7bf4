//! The state of an exporter's services, read from its metrics as Prometheus does.

use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;

/// How often the metrics are read.
const PAUSE: Duration = Duration::from_millis(25);

/// The state of a service: its status, and the reasons of its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// The status.
    pub status: String,
    /// The reasons, sorted.
    pub reasons: Vec<String>,
}

impl ServiceState {
    /// Whether the service has this status, with at least one and only these reasons; or none if `reasons` is empty.
    pub fn is(&self, status: &str, reasons: &[&str]) -> bool {
        let is_expected = match reasons {
            [] => self.reasons.is_empty(),
            _ => {
                !self.reasons.is_empty()
                    && self
                        .reasons
                        .iter()
                        .all(|reason| reasons.contains(&reason.as_str()))
            }
        };
        self.status == status && is_expected
    }
}

/// The state of a service in `metrics`.
pub fn state_of(metrics: &str, service: &str) -> ServiceState {
    let of_service = format!("{{service=\"{service}\",");
    let lines = |family: &'static str| {
        let start = format!("{family}{of_service}");
        metrics
            .lines()
            .filter(move |line| line.starts_with(&start) && line.ends_with(" 1"))
    };
    let status = lines("upkeep_service_status").find_map(|line| label(line, "status"));
    let mut reasons: Vec<String> = lines("upkeep_check_problem_info")
        .filter_map(|line| label(line, "reason"))
        .collect();
    reasons.sort();
    ServiceState {
        status: status.unwrap_or_default(),
        reasons,
    }
}

/// The value of a label in a metrics line.
pub fn label(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// Waits until `service` has the status with one of the reasons. Returns how long that took.
pub async fn becomes(
    exporter: &Exporter,
    service: &str,
    status: &str,
    reasons: &[&str],
    limit: Duration,
) -> Duration {
    let begun = Instant::now();
    loop {
        let metrics = exporter.metrics().await;
        let now = state_of(&metrics, service);
        if now.is(status, reasons) {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < limit,
            "{service} is {now:?}, not {status} {reasons:?}, after {limit:?}\n{}",
            tail(&exporter.server.log(), service)
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// The last log lines that name the service.
fn tail(log: &str, service: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(service)).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
