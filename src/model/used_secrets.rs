//! The secrets that a run uses. `config::secret`, the only way to a secret, notes them here, so that what leaves the run can be
//! scrubbed of those that the target gave back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::scrubber::Scrubber;

/// The most secrets noted for one run; a dialogue of 256 steps and 100 headers stay below it.
const MAX_NOTED: usize = 512;

tokio::task_local! {
    /// Those of the run that is being polled.
    static CURRENT: UsedSecrets;
}

/// The secrets of one run. A clone shares them.
#[derive(Clone, Default)]
pub struct UsedSecrets(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl UsedSecrets {
    /// Notes a secret of the run that is being polled. Does nothing outside of runs.
    pub fn record(secret: &Arc<str>) {
        let _ = CURRENT.try_with(|used| used.add(secret));
    }

    /// The secrets of the run that is being polled, for work that goes on elsewhere.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    /// A run whose secrets are noted here.
    pub fn scope<F: Future>(&self, run: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), run)
    }

    fn add(&self, secret: &Arc<str>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && noted.len() < MAX_NOTED && !noted.contains(secret) {
            noted.insert(Arc::clone(secret));
        }
    }

    /// What hides these secrets in a text about `target`; `None` where there are none.
    pub fn scrubber(&self, target: impl FnOnce() -> String) -> Option<Scrubber> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_empty() {
            return None;
        }
        Some(Scrubber::new(noted.iter().map(AsRef::as_ref), &target()))
    }
}

/// Shows nothing of its content.
impl std::fmt::Debug for UsedSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsedSecrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_are_noted_for_the_run_that_uses_them() {
        let (one, two) = (UsedSecrets::default(), UsedSecrets::default());
        let use_it = |secret: &'static str| async move {
            tokio::task::yield_now().await;
            UsedSecrets::record(&secret.into());
        };
        tokio::join!(one.scope(use_it("hunter2")), two.scope(use_it("swordfish")));
        UsedSecrets::record(&"outside".into());
        let scrub = |used: &UsedSecrets, text: &str| {
            let scrubber = used.scrubber(String::new).unwrap();
            scrubber.scrub(text).into_owned()
        };
        let text = "hunter2 swordfish outside";
        assert_eq!(scrub(&one, text), "<secret> swordfish outside");
        assert_eq!(scrub(&two, text), "hunter2 <secret> outside");
        assert!(UsedSecrets::default().scrubber(String::new).is_none());
    }
}
