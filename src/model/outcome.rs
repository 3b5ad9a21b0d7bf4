//! What a run of a check yields: a conclusion with its reason, a response time, and the values it measured.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::debug_log::DebugLog;
use super::lost::LostSince;
use super::metric::{Family, Sample};
use super::phase::Phases;
use super::scrubber::Scrubber;
use super::status::words;
use super::text::is_unseen;

words! {
    /// Why a check is not up: the closed list of values of the `reason` label.
    Reason {
        /// The name could not be resolved.
        Dns = "dns",
        /// The peer refused the connection.
        Refused = "refused",
        /// No route, no such socket, no bus: the peer could not be reached.
        Unreachable = "unreachable",
        /// The deadline passed.
        Timeout = "timeout",
        /// The TLS handshake or the certificate's verification failed.
        Tls = "tls",
        /// The peer closed or reset the connection before the answer was complete.
        Closed = "closed",
        /// The peer does not speak the protocol.
        Protocol = "protocol",
        /// Credentials are missing, unreadable or refused.
        Auth = "auth",
        /// The answer's status is not an expected one.
        Status = "status",
        /// The answer's content is not as asserted.
        Assertion = "assertion",
        /// The state looked at (of a unit, a container) is not an expected one.
        State = "state",
        /// What is looked for does not exist.
        Missing = "missing",
        /// A number is beyond a configured or a built-in limit.
        Limit = "limit",
        /// The run succeeded, but took too long.
        Slow = "slow",
        /// The operating system does not let the exporter look.
        Permission = "permission",
        /// The exporter itself failed.
        Internal = "internal",
    }
}

words! {
    /// What this process or machine lacked for a run. A run that it spoils is inconclusive: it says nothing of its target.
    Shortage {
        /// The process did not run for much of the run's time: the cores are full, or it was frozen.
        Time = "time",
        /// No file descriptor was left (EMFILE, ENFILE).
        Descriptors = "descriptors",
        /// No memory was left (ENOMEM, ENOBUFS).
        Memory = "memory",
        /// No local port was left (EADDRNOTAVAIL).
        Ports = "ports",
        /// No thread could be created (EAGAIN).
        Threads = "threads",
        /// The machine's service manager (systemd) has not answered yet: it starts again, reloads, or is busy.
        Manager = "manager",
    }
}

/// The longest message kept, in bytes; more is cut. Messages may quote what a target sent.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Why a run failed or succeeded with a warning. The message goes to the log, the page and the API, never to a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The label's value.
    pub reason: Reason,
    /// Set where this process or machine, not the target, is the cause: the run is then inconclusive.
    pub shortage: Option<Shortage>,
    message: Box<str>,
}

impl Problem {
    /// A problem whose message says what was attempted and what went wrong. The message becomes one line of printable
    /// characters of at most [`MAX_MESSAGE_BYTES`]. What leaves a run is scrubbed of the secrets that the run used.
    pub fn new(reason: Reason, message: impl fmt::Display) -> Self {
        let mut text = String::new();
        for character in message.to_string().chars() {
            let character = if is_unseen(character) { ' ' } else { character };
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

    /// A problem that the exporter's own lack of something caused. A run that fails with it is inconclusive.
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

    /// The full text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Hides secrets in the text.
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

/// What a check writes while it runs. It belongs to the scheduler, so what was measured survives when the run is
/// cancelled at its deadline.
#[derive(Debug, Default)]
pub struct Report {
    /// When the run is cancelled, where that is known: what waits for several answers ends its wait before.
    pub deadline: Option<Instant>,
    /// What this process loses during the run, which is not the target's time.
    pub lost: LostSince,
    /// What the run is doing now, for the message of a timeout: "connecting to 192.0.2.1:80".
    pub step: Cow<'static, str>,
    /// How long the target took to answer, as far as there was an answer; only for timed kinds.
    pub response_time: Option<Duration>,
    /// Set when the run succeeds, but something is not as it should be.
    pub warning: Option<Problem>,
    /// How long each part took, for kinds that use the network.
    pub phases: Phases,
    /// The matching processes, for kinds that look for some; at most [`MAX_PIDS`].
    pub pids: Vec<u32>,
    /// Values of the kind's own families. A repeated push of one series replaces nothing: push each once.
    pub samples: Vec<Sample>,
    /// Where somebody wants to see them: the steps of the run.
    pub debug_log: Option<DebugLog>,
    /// Where the run answers a request to `/probe`: values of blackbox_exporter's families, each series once.
    pub probe: Option<Vec<Sample>>,
}

impl Report {
    /// Notes a step in the debug_log, if one is kept.
    pub fn log_step(&mut self, step: impl FnOnce() -> String) {
        if let Some(debug_log) = &mut self.debug_log {
            debug_log.push(&step());
        }
    }

    /// Adds a value to a probe's answer, if the run is one.
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

/// The most process ids that a run keeps.
pub const MAX_PIDS: usize = 64;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Conclusion {
    /// All was as it should be.
    #[default]
    Success,
    /// It works, but something is not as it should be.
    Warning(Problem),
    /// It does not work.
    Failure(Problem),
    /// The exporter could not find out: it lacked something itself. Such a run changes no verdict.
    Inconclusive(Problem),
}

impl From<Problem> for Conclusion {
    /// How a run ended that stopped with `problem`.
    fn from(problem: Problem) -> Self {
        match problem.shortage {
            Some(_) => Self::Inconclusive(problem),
            None => Self::Failure(problem),
        }
    }
}

/// The result of one run, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How the run ended.
    pub conclusion: Conclusion,
    /// How long the run took, from start to end.
    pub duration: Duration,
    /// The response time that thresholds judge and the histogram records: present for answered runs of timed kinds,
    /// and for runs of timed kinds that timed out (then the deadline).
    pub response_time: Option<Duration>,
    /// How long each part took, for kinds that use the network.
    pub phases: Phases,
    /// The matching processes, for kinds that look for some; at most [`MAX_PIDS`].
    pub pids: Vec<u32>,
    /// Values of the kind's own families.
    pub samples: Vec<Sample>,
}

impl Outcome {
    /// Whether it holds texts that may be a target's.
    pub fn has_texts(&self) -> bool {
        self.conclusion != Conclusion::Success || self.samples.iter().any(Sample::has_texts)
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
