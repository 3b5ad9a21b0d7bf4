//! What can be wrong with a dialogue, and what that means for the run.

use super::families::{self, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX};
use super::stepper::MAX_SENT_BYTES;
use crate::config::budget::Exhausted;
use crate::model::{Problem, Reason, Report};

/// Why a dialogue failed. The texts are fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server closed the connection, and no line matched.
    #[error("no line matched /{pattern}/ before it closed the connection: {instead}")]
    NoMatch {
        /// What was waited for.
        pattern: String,
        /// What came.
        instead: String,
    },
    /// Other bytes came.
    #[error("{found} came instead of {expected}")]
    OtherBytes {
        /// What came, quoted.
        found: String,
        /// What was waited for, quoted.
        expected: String,
    },
    /// The server closed the connection before what was waited for could be there.
    #[error("it closed the connection; {waiting}, {instead}")]
    Closed {
        /// What was waited for.
        waiting: String,
        /// What came.
        instead: String,
        /// Whether a line was waited for.
        is_line: bool,
    },
    /// A line is too long, or there are too many.
    #[error("it sent {0}")]
    TooMuch(String),
    /// A line takes more than the budget; no fault of the dialogue.
    #[error("a line takes too long to be looked at")]
    TooDear(Exhausted),
    /// What is to be sent became too long.
    #[error("the line to send is longer than {MAX_SENT_BYTES} bytes with what the server sent in it")]
    TooLong,
}

/// The problem of a dialogue that is not as it should be; a probe is told which kind it is.
pub fn problem(fault: &Fault, peer: &str, number: usize, report: &mut Report) -> Problem {
    let reason = match fault {
        Fault::NoMatch { .. } => {
            families::set(&FAILED_DUE_TO_REGEX, 1.0, report);
            Reason::Assertion
        }
        Fault::OtherBytes { .. } => {
            families::set(&FAILED_DUE_TO_BYTES, 1.0, report);
            Reason::Assertion
        }
        Fault::Closed { is_line, .. } => {
            if *is_line {
                families::set(&FAILED_DUE_TO_REGEX, 1.0, report);
            }
            Reason::Closed
        }
        Fault::TooMuch(_) | Fault::TooLong | Fault::TooDear(_) => Reason::Limit,
    };
    Problem::new(reason, format_args!("{peer}, query_response[{number}]: {fault}"))
}
