//! The families of grpc checks and of their probes, and the findings of a run.

use super::health::SERVING_STATUSES;
use super::status::{DEADLINE_EXCEEDED, UNAVAILABLE};
use crate::model::{Family, Phase, Sample};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::run_recorder::{Findings, RunRecorder};

/// The status code of the call.
pub static STATUS_CODE: Family = Family::gauge(
    "upkeep_grpc_status_code",
    &[],
    "gRPC status code of the call: 0 is OK. Absent if there was no response.",
);

/// The families of grpc checks.
pub const FAMILIES: &[&Family] = &[&STATUS_CODE, &CERTIFICATE_NOT_AFTER, &CERTIFICATE_NOT_BEFORE];

/// The status code of the call in a probe.
pub static PROBE_STATUS_CODE: Family = Family::probe(
    "probe_grpc_status_code",
    &[],
    "gRPC status code of the health check; 14 (UNAVAILABLE) if there was no response, 4 (DEADLINE_EXCEEDED) after a \
     timeout.",
);
/// The duration of every phase.
pub static PROBE_DURATION: Family = Family::probe(
    "probe_grpc_duration_seconds",
    &["phase"],
    "Duration of each phase of the health check in seconds; 0 for phases that were not reached.",
);
/// The serving status.
pub static PROBE_RESPONSE: Family = Family::probe(
    "probe_grpc_healthcheck_response",
    &["serving_status"],
    "1 for the serving status that the target reported, 0 for the others.",
);
/// Whether the connection used TLS.
pub static PROBE_SSL: Family = Family::probe(
    "probe_grpc_ssl",
    &[],
    "1 if the connection used TLS, otherwise 0.",
);

/// The families of a probe, in addition to those of every address.
pub const PROBE_FAMILIES: &[&Family] = &[&PROBE_STATUS_CODE, &PROBE_DURATION, &PROBE_RESPONSE, &PROBE_SSL];

/// The phases of a run by their labels. The phase after connecting is called "check".
const PHASES: [(&str, Phase); 4] = [
    ("resolve", Phase::Resolve),
    ("connect", Phase::Connect),
    ("tls", Phase::Tls),
    ("check", Phase::Processing),
];

/// The findings of a run.
#[derive(Debug, Default)]
pub struct GrpcFindings {
    /// The status code of the call, if there was a response.
    pub code: Option<u32>,
    /// The serving status in the response.
    pub serving: Option<i32>,
    /// Whether the connection used TLS.
    pub is_tls: bool,
}

impl Findings for GrpcFindings {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        let unanswered = match recorder.has_ended() {
            true => UNAVAILABLE,
            false => DEADLINE_EXCEEDED,
        };
        let report = &mut *recorder.report;
        if let Some(code) = self.code {
            report.samples.push(Sample {
                family: &STATUS_CODE,
                labels: Vec::new(),
                value: f64::from(code),
            });
        }
        let code = f64::from(self.code.unwrap_or(unanswered));
        report.push_probe_sample(&PROBE_STATUS_CODE, Vec::new(), code);
        let is_tls = f64::from(u8::from(self.is_tls));
        report.push_probe_sample(&PROBE_SSL, Vec::new(), is_tls);
        for (label, phase) in PHASES {
            let spent = report.phases.spent(phase).as_secs_f64();
            report.push_probe_sample(&PROBE_DURATION, vec![label.into()], spent);
        }
        for (number, status) in (0_i32..).zip(SERVING_STATUSES) {
            let is_current = f64::from(u8::from(self.serving == Some(number)));
            report.push_probe_sample(&PROBE_RESPONSE, vec![status.into()], is_current);
        }
    }
}
