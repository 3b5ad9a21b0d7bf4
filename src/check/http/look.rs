//! Holds a response against the assertions where that costs nobody else anything: see `workers`.

use std::sync::Arc;
use std::time::Duration;

use http::response;
use tokio::time::Instant;

use super::HttpCheck;
use super::body::KeptBody;
use super::extract::{self, Extracted};
use super::judge::{self, Fault};
use crate::config::budget::Budget;
use crate::model::Reason;

impl HttpCheck {
    /// Holds a head against the assertions.
    pub(super) async fn look_at_head(
        &self,
        head: &response::Parts,
        known: bool,
        wait: Duration,
    ) -> Result<(), Fault> {
        let assertions = &self.settings.assertions;
        judge::status(assertions, head.status, known)?;
        if assertions.header_matches.is_empty() && assertions.header_not_matches.is_empty() {
            return Ok(());
        }
        let length = head.headers.values().map(http::HeaderValue::len).sum();
        let (settings, headers) = (self.settings.clone(), head.headers.clone());
        let work = move |budget: &Arc<Budget>| judge::headers(&settings.assertions, &headers, budget);
        self.evaluator.evaluate(length, wait, work).await?
    }

    /// Judges a body by the assertions, then extracts values from it. Each may use what is left of the run's processor time. An
    /// extraction that needs more is a warning: the response was as asserted.
    pub(super) async fn look_at(&self, body: KeptBody, wait: Duration) -> Result<Extracted, Fault> {
        let (begun, body) = (Instant::now(), Arc::new(body));
        let length = match self.settings.assertions.is_deep() {
            // The worker threads have the stack for it.
            true => usize::MAX,
            false => body.len(),
        };
        let (settings, judged) = (self.settings.clone(), body.clone());
        let work = move |budget: &Arc<Budget>| judge::body(&settings.assertions, judged.bytes(), budget);
        self.evaluator.evaluate(length, wait, work).await??;
        let settings = self.settings.clone();
        if settings.extraction.is_empty() {
            return Ok(Extracted::default());
        }
        let (length, wait) = (body.len(), wait.saturating_sub(begun.elapsed()));
        let work = move |budget: &Arc<Budget>| extract::extract(&settings.extraction, body.bytes(), budget);
        match self.evaluator.evaluate(length, wait, work).await {
            Err(problem) if problem.reason == Reason::Limit && problem.shortage.is_none() => Ok(Extracted {
                samples: Vec::new(),
                warning: Some(problem),
            }),
            extracted => Ok(extracted?),
        }
    }
}
