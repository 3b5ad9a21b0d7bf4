//! The result of a run: a conclusion with its reason, a response time, and measured values.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::catalog::Catalog;
use super::debug_log::DebugLog;
use super::findings::Findings;
use super::heartbeat::JobView;
use super::lost_time::LostSince;
use super::metric::{Family, Sample};
use super::phase::Phases;
use super::scrubber::Scrubber;
use super::status::words;
use super::text::is_invisible;

words! {
    /// Why a check is not up: the values of the label `reason`.
    Reason {
        /// The name could not be resolved.
        Dns = "dns",
        /// The peer refused the connection.
        Refused = "refused",
        /// The peer could not be reached: no route, no such socket, no bus.
        Unreachable = "unreachable",
        /// The run did not end before its deadline.
        Timeout = "timeout",
        /// The TLS handshake or the verification of the certificate failed.
        Tls = "tls",
        /// The peer closed or reset the connection before the response was complete.
        Closed = "closed",
        /// The peer does not speak the protocol.
        Protocol = "protocol",
        /// Credentials are missing, unreadable or rejected.
        Auth = "auth",
        /// The status of the response is not an expected one.
        Status = "status",
        /// The content of the response does not match an assertion.
        Assertion = "assertion",
        /// The state of the unit or container is not an expected one.
        State = "state",
        /// The object to check does not exist.
        Missing = "missing",
        /// A value exceeds a configured or built-in limit.
        Limit = "limit",
        /// The run succeeded, but took too long.
        Slow = "slow",
        /// The operating system denies access.
        Permission = "permission",
        /// The exporter itself failed.
        Internal = "internal",
    }
}

words! {
    /// What this process or machine lacked. A run that fails for this reason is inconclusive: it says nothing about its target.
    Shortage {
        /// The process did not get enough CPU time, or was frozen.
        Time = "time",
        /// No file descriptor was left (EMFILE, ENFILE).
        Descriptors = "descriptors",
        /// No memory was left (ENOMEM, ENOBUFS).
        Memory = "memory",
        /// No local port was left (EADDRNOTAVAIL).
        Ports = "ports",
        /// No thread could be created (EAGAIN).
        Threads = "threads",
        /// The service manager (systemd) has not responded yet: it is restarting, reloading or busy.
        Manager = "manager",
        /// The program of the check reports that it can't tell.
        Undecided = "undecided",
        /// Other programs of exec checks have not ended.
        Programs = "programs",
    }
}

/// The maximum length of a message, in bytes. Longer messages are truncated, because they may quote a target.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Why a run failed or has a warning. The message appears in the log, on the page and in the API, but never in a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The value of the label `reason`.
    pub reason: Reason,
    /// Set if this process or machine, not the target, is the cause. The run is then inconclusive.
    pub shortage: Option<Shortage>,
    message: Box<str>,
}

impl Problem {
    /// A problem whose message says what was attempted and what went wrong. The message becomes one line of visible characters of at
    /// most [`MAX_MESSAGE_BYTES`]. The runner hides the secrets of the run in it.
    pub fn new(reason: Reason, message: impl fmt::Display) -> Self {
        let mut text = String::new();
        for character in message.to_string().chars() {
            let character = if is_invisible(character) { ' ' } else { character };
            if text.len() + character.len_utf8() > MAX_MESSAGE_BYTES - '\u{2026}'.len_utf8() {
                text.push('\u{2026}');
                break;
            }
            text.push(character);
        }
        Self {
            reason,
            shortage: None,
            message: text.into(),
        }
    }

    /// A problem caused by a shortage of the exporter. A run that fails with it is inconclusive.
    pub fn from_shortage(shortage: Shortage, message: impl fmt::Display) -> Self {
        Self {
            shortage: Some(shortage),
            ..Self::new(Reason::Internal, message)
        }
    }

    /// The same problem with another message.
    #[must_use]
    pub fn with_message(&self, message: impl fmt::Display) -> Self {
        Self {
            shortage: self.shortage,
            ..Self::new(self.reason, message)
        }
    }

    /// The message without the reason.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Hides secrets in the message.
    pub fn scrub(&mut self, scrubber: &Scrubber) {
        if let Cow::Owned(message) = scrubber.scrub(&self.message) {
            self.message = Self::new(self.reason, message).message;
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// Filled by a check while it runs. The runner owns it, so that measured values survive a run that is cancelled at its deadline.
#[derive(Debug, Default)]
pub struct Report {
    /// When the run is cancelled, if known. A check that waits for several responses stops waiting before.
    pub deadline: Option<Instant>,
    /// The time that this process loses during the run. It is not part of the response time.
    pub lost: LostSince,
    /// The current step, for the message of a timeout: "connecting to 192.0.2.1:80".
    pub step: Cow<'static, str>,
    /// How long the target took to respond. Only for timed kinds, and only after a response.
    pub response_time: Option<Duration>,
    /// A problem of a run that succeeds.
    pub warning: Option<Problem>,
    /// How long each phase took, for kinds that use the network.
    pub phases: Phases,
    /// The ids of matching processes, for process checks; at most [`MAX_PIDS`].
    pub pids: Vec<u32>,
    /// Since when the target runs, in Unix time, for kinds that know it.
    pub running_since: Option<f64>,
    /// When the first certificate of the target's chain expires, in Unix time. `None` without TLS.
    pub certificate_expires: Option<i64>,
    /// Values of the kind's own families. Each series must be pushed only once.
    pub samples: Vec<Sample>,
    /// The models that the target offers, for kinds that read them.
    pub catalog: Option<Arc<Catalog>>,
    /// The job that the check watches, for kinds that watch one.
    pub job: Option<Arc<JobView>>,
    /// What the run found in detail.
    pub findings: Findings,
    /// How long to wait after the end of the run before the next one starts, for example because the target asked for it.
    pub next_run_after: Option<Duration>,
    /// Whether the run repeats the result of an earlier one, so that it is not new evidence.
    pub is_repeated: bool,
    /// The steps of the run, if requested.
    pub debug_log: Option<DebugLog>,
    /// Values of blackbox_exporter's families, if the run is a probe. Each series must be pushed only once.
    pub probe: Option<Vec<Sample>>,
}

impl Report {
    /// Adds a step to the debug log, if there is one.
    pub fn log_step(&mut self, step: impl FnOnce() -> String) {
        if let Some(debug_log) = &mut self.debug_log {
            debug_log.push(&step());
        }
    }

    /// Adds a value to the response of a probe, if the run is one.
    pub fn push_probe_sample(&mut self, family: &'static Family, labels: Vec<Cow<'static, str>>, value: f64) {
        if let Some(samples) = &mut self.probe {
            samples.push(Sample {
                family,
                labels,
                value,
            });
        }
    }
}

/// The maximum number of process ids of a run.
pub const MAX_PIDS: usize = 64;

/// The conclusion of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Conclusion {
    /// Everything is as expected.
    #[default]
    Success,
    /// It works, but something is not as expected.
    Warning(Problem),
    /// It does not work.
    Failure(Problem),
    /// Unknown, because the exporter lacked a resource. Such a run does not change the verdict.
    Inconclusive(Problem),
}

impl From<Problem> for Conclusion {
    /// The conclusion of a run that ended with `problem`.
    fn from(problem: Problem) -> Self {
        match problem.shortage {
            Some(_) => Self::Inconclusive(problem),
            None => Self::Failure(problem),
        }
    }
}

/// The result of one run, as the store records it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// The duration of the run.
    pub duration: Duration,
    /// The response time, for thresholds and the histogram. Timed kinds have it after a response, and after a timeout (then it is the
    /// timeout).
    pub response_time: Option<Duration>,
    /// How long each phase took, for kinds that use the network.
    pub phases: Phases,
    /// The ids of matching processes, for process checks; at most [`MAX_PIDS`].
    pub pids: Vec<u32>,
    /// Since when the target runs, in Unix time, for kinds that know it. `None` while it does not run.
    pub running_since: Option<f64>,
    /// Values of the kind's own families.
    pub samples: Vec<Sample>,
    /// The models that the target offers, for kinds that read them.
    pub catalog: Option<Arc<Catalog>>,
    /// The job that the check watches, for kinds that watch one.
    pub job: Option<Arc<JobView>>,
    /// What the run found in detail.
    pub findings: Findings,
    /// How long to wait after the end of the run before the next one starts.
    pub next_run_after: Option<Duration>,
    /// Whether the run repeats the result of an earlier one, so that it is not new evidence.
    pub is_repeated: bool,
}

impl Outcome {
    /// Whether it may contain texts from a target.
    pub fn has_texts(&self) -> bool {
        self.conclusion != Conclusion::Success
            || self.catalog.is_some()
            || !self.findings.is_empty()
            || self.samples.iter().any(Sample::has_texts)
    }

    /// Hides secrets in its texts.
    pub fn scrub(&mut self, scrubber: &Scrubber) {
        match &mut self.conclusion {
            Conclusion::Success => {}
            Conclusion::Warning(problem)
            | Conclusion::Failure(problem)
            | Conclusion::Inconclusive(problem) => problem.scrub(scrubber),
        }
        Sample::scrub(&mut self.samples, scrubber);
        if let Some(scrubbed) = self
            .catalog
            .as_ref()
            .and_then(|catalog| catalog.scrubbed(scrubber))
        {
            self.catalog = Some(Arc::new(scrubbed));
        }
        self.findings.scrub(scrubber);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_bounded_printable_line() {
        let problem = Problem::new(
            Reason::Protocol,
            format!("got \"\r\n\u{1b}[31m{}\"", "é".repeat(1000)),
        );
        assert!(problem.message().len() <= MAX_MESSAGE_BYTES);
        assert!(problem.message().starts_with("got \"   [31mé"));
        assert!(problem.message().ends_with('…'));
    }

    #[test]
    fn reasons_are_found_by_their_word() {
        assert_eq!(Reason::from_word("refused"), Some(Reason::Refused));
        assert_eq!(Reason::from_word("Refused"), None);
    }
}
