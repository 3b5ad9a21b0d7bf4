//! What is noted in the course of one run. It is told when the run ends, also where that is because its time is over.

use http::StatusCode;

use super::judge::Fault;
use super::probe_samples::Facts;
use super::{PHASE_DURATION, STATUS_CODE};
use crate::model::{Problem, Report, Sample};
use crate::net::run_recorder::{Phase, RunRecorder};

/// The notes of one run, and what an http check adds to them.
#[derive(Debug)]
pub struct Notes<'r> {
    /// What is noted of every kind of run.
    pub trace: RunRecorder<'r>,
    /// The status of the last response.
    pub status: Option<StatusCode>,
    /// What was taken out of the body.
    pub extracted: Vec<Sample>,
    /// What a probe tells.
    pub facts: Facts,
    has_cel: bool,
}

impl<'r> Notes<'r> {
    /// The notes of a run that begins. `has_cel` says whether there is a CEL expression.
    pub fn new(report: &'r mut Report, has_cel: bool) -> Self {
        Self {
            trace: RunRecorder::new(report),
            status: None,
            extracted: Vec::new(),
            facts: Facts::default(),
            has_cel,
        }
    }

    /// The same verdict, after its cause was noted.
    ///
    /// # Errors
    /// The problem of the verdict.
    pub fn blamed<T>(&mut self, verdict: Result<T, Fault>) -> Result<T, Problem> {
        verdict.map_err(|fault| {
            self.facts.blame = fault.blame;
            fault.problem
        })
    }
}

impl Drop for Notes<'_> {
    fn drop(&mut self) {
        self.trace.leave();
        let sample = |family, labels, value| Sample {
            family,
            labels,
            value,
        };
        let status = self.status.map_or(0.0, |status| f64::from(status.as_u16()));
        let mut samples = Vec::with_capacity(Phase::ALL.len() + 2);
        samples.push(sample(&STATUS_CODE, Vec::new(), status));
        for &phase in Phase::ALL {
            let seconds = self.trace.spent(phase).as_secs_f64();
            samples.push(sample(&PHASE_DURATION, vec![phase.as_str().into()], seconds));
        }
        samples.append(&mut self.extracted);
        self.facts.tell(self.trace.report, self.has_cel);
        // Nothing else has written samples yet; the trace adds its own after this.
        self.trace.report.samples = samples;
    }
}
