//! Steps over messages: a step with an expectation evaluates exactly one message, as in blackbox_exporter.

use super::{Expanded, Stepper};
use crate::check::dialogue::error::DialogueError;
use crate::config::budget::{Budget, Exhausted};
use crate::config::dialogue::Step;
use crate::config::pattern::Pattern;

impl Stepper {
    /// Whether the step has received the message that it expects.
    pub(super) fn expect_message(
        &mut self,
        step: &Step,
        pattern: &Pattern,
        budget: &Budget,
    ) -> Result<bool, DialogueError> {
        if !self.has_message {
            return self.wait_for_more();
        }
        let Ok(found) = pattern.captures(&self.buffer, budget) else {
            // The message was not evaluated.
            return Err(DialogueError::BudgetExhausted(Exhausted));
        };
        let message = self.redactor.quote(&self.buffer);
        let expanded = found.map(|captures| Expanded::new(step, &captures));
        self.buffer.clear();
        self.has_message = false;
        let Some(expanded) = expanded else {
            return Err(DialogueError::OtherMessage {
                found: message,
                pattern: pattern.as_str().to_owned(),
            });
        };
        self.expanded = Some(expanded);
        self.log(format!(
            "received {message}, which matches /{}/",
            pattern.as_str()
        ));
        Ok(true)
    }
}
