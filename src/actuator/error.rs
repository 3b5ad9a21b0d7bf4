//! Why an action or a query failed.

use std::fmt;

use crate::model::{Problem, Reason, words};

words! {
    /// Why an action or a query failed.
    Failure {
        /// No connection to systemd or the engine. Nothing was done.
        Unreachable = "unreachable",
        /// The exporter's user may not do it. Nothing was done.
        Denied = "denied",
        /// The unit or container does not exist. Nothing was done.
        Missing = "missing",
        /// systemd or the engine refused it, such as for a masked unit. Nothing was done.
        Refused = "refused",
        /// It was attempted, and failed.
        Failed = "failed",
        /// It was not complete at the deadline. It may continue.
        Timeout = "timeout",
        /// The connection was lost before the result arrived. It may continue.
        Lost = "lost",
    }
}

/// Why an action or a query failed, with a message that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActError {
    /// Why it failed.
    pub failure: Failure,
    message: Box<str>,
}

impl ActError {
    /// An error with a message. The message becomes one line of visible characters, because it may quote systemd or an engine.
    pub fn new(failure: Failure, message: impl fmt::Display) -> Self {
        Self {
            failure,
            message: Problem::new(Reason::Internal, message).message().into(),
        }
    }

    /// Whether the unit or container may have changed, or may still change.
    pub fn may_have_acted(&self) -> bool {
        matches!(self.failure, Failure::Failed | Failure::Timeout | Failure::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_visible_characters() {
        let error = ActError::new(Failure::Refused, "a\n\u{1b}[2Jb");
        assert_eq!(error.to_string(), "a  [2Jb");
        assert!(!error.may_have_acted());
        assert!(ActError::new(Failure::Lost, "").may_have_acted());
    }
}
