//! A record of a decision or event in the history of a service.

use crate::model::{CheckName, Moment, Reason, words};

/// The number of stored decisions per service.
pub const MAX_DECISIONS: usize = 50;

/// The maximum size of the evidence of a record in bytes. It bounds the file.
pub const MAX_EVIDENCE: usize = 256;

words! {
    /// An event in the history of a service.
    HealEvent {
        /// An action began.
        Acting = "acting",
        /// An action ended without an error.
        Acted = "acted",
        /// An action failed.
        Failed = "failed",
        /// The exporter was killed during an action.
        Interrupted = "interrupted",
        /// An action would have been taken, but the mode is dry-run.
        DryRun = "dry_run",
        /// An action was refused.
        Refused = "refused",
        /// The service has been up since an action for long enough.
        Helped = "helped",
        /// The service failed again too soon after an action.
        DidNotHelp = "did_not_help",
        /// Too many actions in a row did not help.
        GaveUp = "gave_up",
        /// A person paused healing.
        Paused = "paused",
        /// A person resumed healing.
        Resumed = "resumed",
    }
}

impl HealEvent {
    /// Whether it says something about the last action.
    pub const fn is_of_action(self) -> bool {
        matches!(
            self,
            Self::Acting | Self::Acted | Self::Failed | Self::Interrupted | Self::Helped | Self::DidNotHelp
        )
    }
}

/// A decision or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealRecord {
    /// When.
    pub at: Moment,
    /// What happened.
    pub event: HealEvent,
    /// The action: `restart`, `start` or `command`; or why there was none: a [`super::policy::Refusal`].
    pub detail: String,
    /// The check that caused it, with its failed runs and the reason of the last one.
    pub cause: Option<(CheckName, usize, Reason)>,
    /// The evidence for people.
    pub evidence: String,
}

impl HealRecord {
    /// The record with at most [`MAX_EVIDENCE`] bytes of evidence.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        truncate(&mut self.evidence);
        self
    }
}

fn truncate(text: &mut String) {
    if text.len() > MAX_EVIDENCE {
        let end = (0..=MAX_EVIDENCE - 3)
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('\u{2026}');
    }
}
