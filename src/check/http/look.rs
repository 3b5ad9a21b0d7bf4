//! Holds a response against the assertions where that costs nobody else anything: see `workers`.

use std::sync::Arc;
use std::time::Duration;

use http::response;

use super::HttpCheck;
use super::body::KeptBody;
use super::extract::{self, Extracted};
use super::judge::{self, Fault};
use crate::config::budget::Budget;

/// Longer than any run; the judging is waited for as long as there is time.
pub(super) const LONG: Duration = Duration::from_secs(3600);

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
        self.judging.judge(length, wait, work).await?
    }

    /// What is to be taken out of a body, after it was held against the assertions.
    pub(super) async fn look_at(&self, body: KeptBody, wait: Duration) -> Result<Extracted, Fault> {
        let settings = self.settings.clone();
        let length = match settings.assertions.is_deep() {
            // The threads that judge have the stack for it.
            true => usize::MAX,
            false => body.len(),
        };
        let work = move |budget: &Arc<Budget>| {
            let judged = judge::body(&settings.assertions, body.bytes(), budget)?;
            Ok(judged.map(|()| extract::extract(&settings.extraction, body.bytes())))
        };
        self.judging.judge(length, wait, work).await?
    }
}
