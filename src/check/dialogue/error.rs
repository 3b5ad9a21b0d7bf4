//! Why a dialogue failed, and the problem that the run reports.

use super::families::{self, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX};
use crate::config::budget::Exhausted;
use crate::model::{Problem, Reason, Report};

/// Why a dialogue failed. The messages contain no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogueError {
    /// The server closed the connection, and no line matched.
    #[error("no line matched /{pattern}/ before the server closed the connection: {received}")]
    NoMatch {
        /// The expected pattern.
        pattern: String,
        /// What was received.
        received: String,
    },
    /// Other bytes were received.
    #[error("received {found} instead of {expected}")]
    OtherBytes {
        /// The received bytes, quoted.
        found: String,
        /// The expected bytes, quoted.
        expected: String,
    },
    /// A message does not match.
    #[error("received {found}, which does not match /{pattern}/")]
    OtherMessage {
        /// The message, quoted.
        found: String,
        /// The expected pattern.
        pattern: String,
    },
    /// The server closed the connection too early.
    #[error("the server closed the connection; {expectation}, {received}")]
    Closed {
        /// What was expected.
        expectation: String,
        /// What was received.
        received: String,
        /// Whether a line was expected.
        is_line: bool,
    },
    /// A line is too long, or there are too many lines.
    #[error("the server sent {0}")]
    TooMuch(String),
    /// A line needs more than the budget. The caller may try again with another budget.
    #[error("evaluating a line takes too long")]
    BudgetExhausted(Exhausted),
    /// The line to send is longer than this many bytes.
    #[error("the line to send, with the text from the server inserted, is longer than {0} bytes")]
    TooLong(usize),
}

/// Converts the error of step `number` to a problem. Sets the probe's samples about the cause.
pub fn problem(error: &DialogueError, peer: &str, number: usize, report: &mut Report) -> Problem {
    let reason = match error {
        DialogueError::NoMatch { .. } => {
            families::set_probe_sample(&FAILED_DUE_TO_REGEX, 1.0, report);
            Reason::Assertion
        }
        DialogueError::OtherMessage { .. } => Reason::Assertion,
        DialogueError::OtherBytes { .. } => {
            families::set_probe_sample(&FAILED_DUE_TO_BYTES, 1.0, report);
            Reason::Assertion
        }
        DialogueError::Closed { is_line, .. } => {
            if *is_line {
                families::set_probe_sample(&FAILED_DUE_TO_REGEX, 1.0, report);
            }
            Reason::Closed
        }
        DialogueError::TooMuch(_) | DialogueError::TooLong(_) | DialogueError::BudgetExhausted(_) => {
            Reason::Limit
        }
    };
    Problem::new(reason, format_args!("{peer}, query_response[{number}]: {error}"))
}
