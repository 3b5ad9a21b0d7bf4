//! The secrets that a run uses. `config::secret` records every secret that is read, so that the results of the run can be scrubbed
//! if the target returns a secret.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::scrubber::Scrubber;

/// The maximum number of secrets of a run. A dialogue of 256 steps and 100 headers stay below it.
const MAX_SECRETS: usize = 512;

tokio::task_local! {
    /// The secrets of the run that is being polled.
    static CURRENT: UsedSecrets;
}

/// The secrets of one run. A clone shares them.
#[derive(Clone, Default)]
pub struct UsedSecrets(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl UsedSecrets {
    /// Records a secret of the run that is being polled. Does nothing outside of runs.
    pub fn record(secret: &Arc<str>) {
        let _ = CURRENT.try_with(|used| used.add(secret));
    }

    /// Records the secrets of another run, of which the run that is being polled uses a result.
    pub fn record_all(other: &Self) {
        let secrets = other.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        secrets.iter().for_each(Self::record);
    }

    /// The secrets of the run that is being polled, for work in other threads.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    /// Wraps a run so that its secrets are recorded here.
    pub fn scope<F: Future>(&self, run: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), run)
    }

    fn add(&self, secret: &Arc<str>) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && secrets.len() < MAX_SECRETS && !secrets.contains(secret) {
            secrets.insert(Arc::clone(secret));
        }
    }

    /// A scrubber for these secrets in texts about `target`; `None` if there are no secrets.
    pub fn scrubber(&self, target: impl FnOnce() -> String) -> Option<Scrubber> {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.is_empty() {
            return None;
        }
        Some(Scrubber::new(secrets.iter().map(AsRef::as_ref), &target()))
    }
}

/// Does not show the secrets.
impl std::fmt::Debug for UsedSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsedSecrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_are_recorded_for_the_run_that_uses_them() {
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
