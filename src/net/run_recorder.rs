//! Records what a run does while it runs. The records reach the report when the run ends, also when it is cancelled at its
//! deadline, so the report shows where the run stopped and how long each phase took.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::certificates::CertificateRecorder;
pub use crate::model::Phase;
use crate::model::Report;

/// The time that a run needs after its last wait, on a busy machine.
const REST: Duration = Duration::from_millis(200);

/// The current step of a run. Shown in the message of a timeout and in the debug log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Starting,
    /// Resolving a name.
    Resolving(String),
    /// Connecting to an address.
    Connecting(SocketAddr),
    /// Waiting for a proxy to connect to a target.
    Tunnelling(String),
    /// In the TLS handshake with an address.
    Handshake(SocketAddr),
    /// Waiting for the head of the response.
    Waiting,
    /// Reading the body, this many bytes so far.
    Reading(u64),
    /// Evaluating the body.
    Evaluating,
    /// A step of one kind, such as "reading the statistics".
    Doing(Cow<'static, str>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Resolving(host) => write!(f, "resolving {host}"),
            Self::Connecting(peer) => write!(f, "connecting to {peer}"),
            Self::Tunnelling(target) => write!(f, "waiting for the proxy to connect to {target}"),
            Self::Handshake(peer) => write!(f, "in the TLS handshake with {peer} (is it a port with TLS?)"),
            Self::Waiting => f.write_str("waiting for the response"),
            Self::Reading(bytes) => write!(f, "reading the body, {bytes} bytes so far"),
            Self::Evaluating => f.write_str("evaluating the body"),
            Self::Doing(what) => f.write_str(what),
        }
    }
}

/// Records the steps, phases and certificates of one run.
#[derive(Debug)]
pub struct RunRecorder<'r> {
    /// The report of the run.
    pub report: &'r mut Report,
    /// The start of the response time.
    pub started: Instant,
    step: Step,
    /// The certificates of the last TLS handshake.
    pub certificates: Option<Arc<CertificateRecorder>>,
    current: Option<(Phase, Instant)>,
    has_ended: bool,
}

impl<'r> RunRecorder<'r> {
    /// Starts to record a run.
    pub fn new(report: &'r mut Report) -> Self {
        Self {
            report,
            started: Instant::now(),
            step: Step::Starting,
            certificates: None,
            current: None,
            has_ended: false,
        }
    }

    /// Begins a step, and adds it to the debug log.
    pub fn at(&mut self, step: Step) {
        let is_progress = matches!((&self.step, &step), (Step::Reading(_), Step::Reading(_)));
        if !is_progress {
            self.report.log_step(|| step.to_string());
        }
        self.step = step;
    }

    /// Updates the current step without another line in the debug log.
    pub fn update_step(&mut self, step: Step) {
        self.step = step;
    }

    /// The current step.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Ends the current phase, if there is one, and begins this one. Returns the current time.
    pub fn enter(&mut self, phase: Phase) -> Instant {
        let now = self.leave();
        self.current = Some((phase, now));
        now
    }

    /// Ends the current phase. Returns the current time.
    pub fn leave(&mut self) -> Instant {
        let now = Instant::now();
        if let Some((phase, since)) = self.current.take() {
            self.report.phases.add(phase, now - since);
        }
        now
    }

    /// Records the response time: until now, without the time that this process lost.
    pub fn record_response_time(&mut self) {
        let now = self.leave();
        let lost = self.report.lost.lost();
        self.report.response_time = Some((now - self.started).saturating_sub(lost));
    }

    /// The time spent in a phase, redirects added up.
    pub fn spent(&self, phase: Phase) -> Duration {
        self.report.phases.spent(phase)
    }

    /// How long to wait for something that may not come: `wait`, or less if the deadline is near. A tenth of the time before
    /// the deadline is left, so that the run can report what is missing. If the time is short, up to a quarter is left, since a
    /// busy machine may pause a run for longer than a tenth of it.
    pub fn within(&self, wait: Duration) -> Duration {
        let Some(deadline) = self.report.deadline else {
            return wait;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let rest = (left / 10).max(REST.min(left / 4));
        // Whole milliseconds, since messages show it.
        let max_wait = (left - rest).as_millis();
        wait.min(Duration::from_millis(u64::try_from(max_wait).unwrap_or(u64::MAX)))
    }

    /// Marks the run as complete. The report of a run that is not complete shows its last step.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether the run is complete.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }
}

impl Drop for RunRecorder<'_> {
    fn drop(&mut self) {
        self.leave();
        if !self.has_ended {
            self.report.step = self.step.to_string().into();
        }
        if let Some(validity) = self
            .certificates
            .as_ref()
            .and_then(|recorder| recorder.validity())
        {
            self.report.samples.extend(validity.samples());
            self.report.certificate_expires = Some(validity.not_after);
        }
    }
}

/// The results of a run of one kind, in addition to those that every run records.
pub trait Findings {
    /// Adds the findings to the report. Called once, when the run ends or is cancelled. All phases are complete then.
    fn record(&mut self, recorder: &mut RunRecorder<'_>);
}

/// A run with findings. They reach the report when this is dropped.
#[derive(Debug)]
pub struct RecordedRun<'r, F: Findings> {
    /// The recorder of the run.
    pub recorder: RunRecorder<'r>,
    /// The findings so far.
    pub findings: F,
}

impl<'r, F: Findings> RecordedRun<'r, F> {
    /// Starts to record a run.
    pub fn new(report: &'r mut Report, findings: F) -> Self {
        Self {
            recorder: RunRecorder::new(report),
            findings,
        }
    }
}

impl<F: Findings> Drop for RecordedRun<'_, F> {
    fn drop(&mut self) {
        self.recorder.leave();
        self.findings.record(&mut self.recorder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_before_the_deadline() {
        let mut report = Report::default();
        let (long, short) = (Duration::from_secs(20), Duration::from_secs(1));
        assert_eq!(RunRecorder::new(&mut report).within(long), long);
        report.deadline = Some(Instant::now() + Duration::from_secs(10));
        assert_eq!(RunRecorder::new(&mut report).within(long), Duration::from_secs(9));
        assert_eq!(RunRecorder::new(&mut report).within(short), short);
        for (deadline, wait) in [(800, 600), (400, 300), (1500, 1300), (3000, 2700)] {
            report.deadline = Some(Instant::now() + Duration::from_millis(deadline));
            let expected = Duration::from_millis(wait);
            assert_eq!(
                RunRecorder::new(&mut report).within(long),
                expected,
                "{deadline} ms"
            );
        }
        report.deadline = Some(Instant::now());
        assert_eq!(RunRecorder::new(&mut report).within(short), Duration::ZERO);
    }

    #[test]
    fn the_report_of_a_cancelled_run_shows_its_last_step() {
        let pause = Duration::from_millis(2);
        let mut report = Report::default();
        let mut recorder = RunRecorder::new(&mut report);
        recorder.enter(Phase::Connect);
        std::thread::sleep(pause);
        let entered = recorder.enter(Phase::Processing);
        recorder.at(Step::Reading(17));
        std::thread::sleep(pause);
        let left = recorder.leave();
        assert!(recorder.spent(Phase::Connect) >= pause);
        assert_eq!(recorder.spent(Phase::Processing), left - entered);
        assert_eq!(recorder.spent(Phase::Tls), Duration::ZERO);
        drop(recorder);
        assert_eq!(report.step, "reading the body, 17 bytes so far");
        assert_eq!(report.response_time, None);
    }

    struct LastPhase(Phase);

    impl Findings for LastPhase {
        fn record(&mut self, recorder: &mut RunRecorder<'_>) {
            let spent = recorder.spent(self.0);
            recorder.report.log_step(|| format!("{} {spent:?}", self.0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn findings_are_recorded_after_the_last_phase() {
        let mut report = Report {
            debug_log: Some(crate::model::DebugLog::new()),
            ..Report::default()
        };
        let mut run = RecordedRun::new(&mut report, LastPhase(Phase::Connect));
        run.recorder.enter(Phase::Connect);
        tokio::time::advance(Duration::from_millis(5)).await;
        drop(run);
        assert_eq!(report.debug_log.unwrap().lines()[0].1, "connect 5ms");
        assert_eq!(report.step, "starting");
    }
}
