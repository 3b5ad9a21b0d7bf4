//! The findings of an http run.

use http::StatusCode;

use super::deprecation::Deprecation;
use super::families::{PHASE_DURATION, STATUS_CODE};
use super::judge::AssertionError;
use super::probe_samples::Facts;
use crate::model::{Problem, Sample};
use crate::net::run_recorder::{Findings, Phase, RecordedRun, RunRecorder};

/// A run with its findings.
pub type Run<'r> = RecordedRun<'r, HttpFindings>;

/// The findings of a run so far.
#[derive(Debug)]
pub struct HttpFindings {
    /// The status of the last response.
    pub status: Option<StatusCode>,
    /// The dates at which the last response announces its end.
    pub deprecation: Deprecation,
    /// The samples extracted from the body.
    pub extracted: Vec<Sample>,
    /// The facts for the samples of a probe.
    pub facts: Facts,
    has_cel: bool,
}

impl HttpFindings {
    /// Creates empty findings. `has_cel` is whether the check has a CEL expression.
    pub fn new(has_cel: bool) -> Self {
        Self {
            status: None,
            deprecation: Deprecation::default(),
            extracted: Vec::new(),
            facts: Facts::default(),
            has_cel,
        }
    }

    /// Records which kind of assertion failed, and returns the problem.
    ///
    /// # Errors
    /// The problem of the error.
    pub fn record_error<T>(&mut self, result: Result<T, AssertionError>) -> Result<T, Problem> {
        result.map_err(|error| {
            self.facts.failed_assertion = error.kind;
            error.problem
        })
    }
}

impl Findings for HttpFindings {
    fn record(&mut self, recorder: &mut RunRecorder<'_>) {
        let sample = |family, labels, value| Sample {
            family,
            labels,
            value,
        };
        let status = self.status.map_or(0.0, |status| f64::from(status.as_u16()));
        let mut samples = Vec::with_capacity(Phase::ALL.len() + 2);
        samples.push(sample(&STATUS_CODE, Vec::new(), status));
        for &phase in Phase::ALL {
            let seconds = recorder.spent(phase).as_secs_f64();
            samples.push(sample(&PHASE_DURATION, vec![phase.as_str().into()], seconds));
        }
        samples.extend(self.deprecation.samples());
        samples.append(&mut self.extracted);
        self.facts.push_probe_samples(recorder.report, self.has_cel);
        // The report has no other samples yet. The recorder adds its own later.
        recorder.report.samples = samples;
    }
}
