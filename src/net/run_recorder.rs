//! What a network run writes down while it runs, so that a run that is cancelled at its deadline still says where it
//! hung and how long each part took: a [`RunRecorder`] fills the report when it is dropped, however that happens.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tls::CertificateRecorder;
pub use crate::model::Phase;
use crate::model::Report;

/// What a run needs at the end, beside waiting, on a machine that is busy.
const REST: Duration = Duration::from_millis(200);

/// What a run is doing; shown where it is cancelled, and in its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Starting,
    /// Asking for the addresses of a name.
    Resolving(String),
    /// Connecting to an address.
    Connecting(SocketAddr),
    /// Asking a proxy for a connection to a target.
    Tunnelling(String),
    /// In the TLS handshake with an address.
    Handshake(SocketAddr),
    /// Waiting for the head of the response.
    Waiting,
    /// Reading the body, this many bytes so far.
    Reading(u64),
    /// Looking at the body.
    Judging,
    /// What a kind does that no other one does, as in "asking for the queue jobs".
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
            Self::Judging => f.write_str("looking at the body"),
            Self::Doing(what) => f.write_str(what),
        }
    }
}

/// The notes of one run.
#[derive(Debug)]
pub struct RunRecorder<'r> {
    /// Where they end up.
    pub report: &'r mut Report,
    /// The start of the run.
    pub started: Instant,
    step: Step,
    /// The certificates of the last TLS handshake.
    pub certificates: Option<Arc<CertificateRecorder>>,
    current: Option<(Phase, Instant)>,
    ended: bool,
}

impl<'r> RunRecorder<'r> {
    /// Starts the notes of a run.
    pub fn new(report: &'r mut Report) -> Self {
        Self {
            report,
            started: Instant::now(),
            step: Step::Starting,
            certificates: None,
            current: None,
            ended: false,
        }
    }

    /// Notes what is being done from here on.
    pub fn at(&mut self, step: Step) {
        let is_progress = matches!((&self.step, &step), (Step::Reading(_), Step::Reading(_)));
        if !is_progress {
            self.report.log_step(|| step.to_string());
        }
        self.step = step;
    }

    /// Says more about what is being done, without another line in the journal.
    pub fn still(&mut self, step: Step) {
        self.step = step;
    }

    /// What is being done.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Ends the current phase, if there is one, and begins this one.
    pub fn enter(&mut self, phase: Phase) -> Instant {
        let now = self.leave();
        self.current = Some((phase, now));
        now
    }

    /// Ends the current phase; the moment of that.
    pub fn leave(&mut self) -> Instant {
        let now = Instant::now();
        if let Some((phase, since)) = self.current.take() {
            self.report.phases.add(phase, now - since);
        }
        now
    }

    /// Notes that the target has answered up to here. What this process lost meanwhile is not the target's time.
    pub fn answered(&mut self) {
        let now = self.leave();
        let lost = self.report.lost.lost();
        self.report.response_time = Some((now - self.started).saturating_sub(lost));
    }

    /// The time spent in a phase, redirects added up.
    pub fn spent(&self, phase: Phase) -> Duration {
        self.report.phases.spent(phase)
    }

    /// How long to wait for what may not come: `wait`, but no longer than leaves a tenth of the time before the deadline for
    /// the rest of the run, so that the run itself says what did not come. Of a short time it leaves up to a quarter: a
    /// machine under load is away for longer than a tenth of it.
    pub fn within(&self, wait: Duration) -> Duration {
        let Some(deadline) = self.report.deadline else {
            return wait;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let rest = (left / 10).max(REST.min(left / 4));
        // Whole milliseconds, for messages that tell it.
        let most = (left - rest).as_millis();
        wait.min(Duration::from_millis(u64::try_from(most).unwrap_or(u64::MAX)))
    }

    /// Notes that the run came to its end by itself, so that the step is of no interest.
    pub fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for RunRecorder<'_> {
    fn drop(&mut self) {
        self.leave();
        if !self.ended {
            self.report.step = self.step.to_string().into();
        }
        if let Some(sample) = self.certificates.as_ref().and_then(|recorder| recorder.sample()) {
            self.report.samples.push(sample);
        }
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
    fn a_cancelled_run_says_where_it_hung() {
        let pause = Duration::from_millis(2);
        let mut report = Report::default();
        let mut trace = RunRecorder::new(&mut report);
        trace.enter(Phase::Connect);
        std::thread::sleep(pause);
        let entered = trace.enter(Phase::Processing);
        trace.at(Step::Reading(17));
        std::thread::sleep(pause);
        let left = trace.leave();
        assert!(trace.spent(Phase::Connect) >= pause);
        assert_eq!(trace.spent(Phase::Processing), left - entered);
        assert_eq!(trace.spent(Phase::Tls), Duration::ZERO);
        drop(trace);
        assert_eq!(report.step, "reading the body, 17 bytes so far");
        assert_eq!(report.response_time, None);
    }
}
