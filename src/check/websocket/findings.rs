//! The families of websocket checks and of their probes, and the findings of a run.

use http::StatusCode;

use crate::model::{Family, Phase, Sample};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::run_recorder::{Findings, RecordedRun, RunRecorder};

/// The status code of the response to the upgrade request.
pub static STATUS_CODE: Family = Family::gauge(
    "upkeep_websocket_status_code",
    &[],
    "Status code of the response to the upgrade request: 101 if it was accepted, 0 if there was no response.",
);

/// The families of websocket checks.
pub const FAMILIES: &[&Family] = &[&STATUS_CODE, &CERTIFICATE_NOT_AFTER, &CERTIFICATE_NOT_BEFORE];

static PROBE_STATUS_CODE: Family = Family::probe(
    "probe_websocket_status_code",
    &[],
    "Status code of the response to the upgrade request, 0 if there was none.",
);
static PROBE_UPGRADED: Family = Family::probe(
    "probe_websocket_connection_upgraded",
    &[],
    "1 if the connection was upgraded to a WebSocket, otherwise 0.",
);
static PROBE_FAILED_BY_REGEX: Family = Family::probe(
    "probe_websocket_failed_due_to_regex",
    &[],
    "1 if a step of query_response failed or did not end, otherwise 0.",
);
static PROBE_DURATION: Family = Family::probe(
    "probe_websocket_duration_seconds",
    &["phase"],
    "Duration of each phase of the probe in seconds. The phase processing includes the TLS handshake.",
);

/// The families of a probe, in addition to those of every address.
pub const PROBE_FAMILIES: &[&Family] = &[
    &PROBE_STATUS_CODE,
    &PROBE_UPGRADED,
    &PROBE_FAILED_BY_REGEX,
    &PROBE_DURATION,
];

/// A run with its findings.
pub type Run<'r> = RecordedRun<'r, WebsocketFindings>;

/// The findings of a run so far.
#[derive(Debug, Default)]
pub struct WebsocketFindings {
    /// The status of the response to the upgrade request.
    pub status: Option<StatusCode>,
    /// Whether the server was connected to.
    pub is_connected: bool,
    /// Whether the connection was upgraded.
    pub is_upgraded: bool,
    /// Whether a step of the dialogue failed, or has not ended.
    pub has_failed_step: bool,
    /// Whether the dialogue was successful.
    pub has_ended_dialogue: bool,
}

impl Findings for WebsocketFindings {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        let report = &mut *recorder.report;
        let status = self.status.map_or(0.0, |status| f64::from(status.as_u16()));
        report.samples.push(Sample {
            family: &STATUS_CODE,
            labels: Vec::new(),
            value: status,
        });
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        report.push_probe_sample(&PROBE_STATUS_CODE, Vec::new(), status);
        report.push_probe_sample(&PROBE_UPGRADED, Vec::new(), flag(self.is_upgraded));
        report.push_probe_sample(&PROBE_FAILED_BY_REGEX, Vec::new(), flag(self.has_failed_step));
        // Phases that were not reached are left out, as in blackbox_exporter.
        let spent = |phase| report.phases.spent(phase);
        let is_resolved = self.is_connected || !spent(Phase::Connect).is_zero();
        let phases = [
            (Phase::Resolve, is_resolved, spent(Phase::Resolve)),
            (Phase::Connect, self.is_connected, spent(Phase::Connect)),
            (
                Phase::Processing,
                is_resolved,
                spent(Phase::Tls) + spent(Phase::Processing),
            ),
            (
                Phase::Transfer,
                self.has_failed_step || self.has_ended_dialogue,
                spent(Phase::Transfer),
            ),
        ];
        for (phase, _, spent) in phases.into_iter().filter(|(_, is_reached, _)| *is_reached) {
            let labels = vec![phase.as_str().into()];
            report.push_probe_sample(&PROBE_DURATION, labels, spent.as_secs_f64());
        }
    }
}
