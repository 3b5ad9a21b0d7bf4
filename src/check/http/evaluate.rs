//! Evaluates a response on the worker threads, so that expensive assertions do not delay other checks (see `workers`).

use std::sync::Arc;
use std::time::Duration;

use http::response;
use tokio::time::Instant;

use super::HttpCheck;
use super::extract::{self, Extracted};
use super::judge::{self, AssertionError};
use crate::check::body_budget::StoredBody;
use crate::config::budget::Budget;
use crate::model::Reason;

impl HttpCheck {
    /// Evaluates the assertions about the status and the headers.
    pub(super) async fn evaluate_head(
        &self,
        head: &response::Parts,
        sent_credentials: bool,
        wait: Duration,
    ) -> Result<(), AssertionError> {
        let assertions = &self.settings.assertions;
        judge::status(assertions, head.status, sent_credentials)?;
        if assertions.header_matches.is_empty() && assertions.header_not_matches.is_empty() {
            return Ok(());
        }
        let length = head.headers.values().map(http::HeaderValue::len).sum();
        let (settings, headers) = (self.settings.clone(), head.headers.clone());
        let work = move |budget: &Arc<Budget>| judge::headers(&settings.assertions, &headers, budget);
        self.evaluator.evaluate(length, wait, work).await?
    }

    /// Evaluates the assertions about the body, then extracts values from it. Each may use the rest of the run's processor time.
    /// An extraction that needs more is only a warning, because the response met the assertions.
    pub(super) async fn evaluate_body(
        &self,
        body: StoredBody,
        wait: Duration,
    ) -> Result<Extracted, AssertionError> {
        let (started, body) = (Instant::now(), Arc::new(body));
        let length = match self.settings.assertions.is_deep() {
            // Only the worker threads have enough stack.
            true => usize::MAX,
            false => body.len(),
        };
        let (settings, evaluated) = (self.settings.clone(), body.clone());
        let work = move |budget: &Arc<Budget>| judge::body(&settings.assertions, evaluated.bytes(), budget);
        self.evaluator.evaluate(length, wait, work).await??;
        let settings = self.settings.clone();
        if settings.extraction.is_empty() {
            return Ok(Extracted::default());
        }
        let (length, wait) = (body.len(), wait.saturating_sub(started.elapsed()));
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
