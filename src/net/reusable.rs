//! Reuse of a connection by later runs.
//!
//! A check keeps a [`Reusable`] connection in an `Option` and takes it out at the start of a run. It puts the connection
//! back only after a successful run, so a run that fails or is cancelled closes it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::certificates::CertificateRecorder;
use super::run_recorder::RunRecorder;
use crate::config::secret::Secret;

/// How long a connection is reused. A new one notices changes of the server's names, certificates, credentials and limits.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(60);

/// A connection with the data that decides whether another run may use it.
#[derive(Debug)]
pub struct Reusable<T> {
    connection: T,
    opened: Instant,
    secret: Option<Secret>,
    certificates: Option<Arc<CertificateRecorder>>,
}

impl<T> Reusable<T> {
    /// A connection that was just opened with this secret. Remembers the certificates of its handshake.
    pub fn new(connection: T, secret: Option<Secret>, recorder: &RunRecorder<'_>) -> Self {
        Self {
            connection,
            opened: Instant::now(),
            secret,
            certificates: recorder.certificates.clone(),
        }
    }

    /// Whether a run may use the connection: it is not too old, and the secret is still the same.
    pub fn is_current(&self, secret: Option<&Secret>) -> bool {
        self.opened.elapsed() < MAX_CONNECTION_AGE && self.secret.as_ref() == secret
    }

    /// Records the certificates of the handshake for a run that reuses the connection.
    pub fn record_certificates(&self, recorder: &mut RunRecorder<'_>) {
        recorder.certificates.clone_from(&self.certificates);
    }

    /// The connection itself.
    pub fn into_inner(self) -> T {
        self.connection
    }

    /// Makes the connection older.
    #[cfg(test)]
    pub fn make_older(&mut self, by: Duration) {
        self.opened -= by;
    }

    /// When the connection was opened.
    #[cfg(test)]
    pub fn opened(&self) -> Instant {
        self.opened
    }
}

impl<T> Deref for Reusable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.connection
    }
}

impl<T> DerefMut for Reusable<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Report;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_current_until_its_age_or_its_secret_changes() {
        let mut report = Report::default();
        let recorder = RunRecorder::new(&mut report);
        let secret = Secret::new("one");
        let connection = Reusable::new((), Some(secret.clone()), &recorder);
        assert!(connection.is_current(Some(&secret)));
        assert!(!connection.is_current(Some(&Secret::new("two"))));
        assert!(!connection.is_current(None));
        tokio::time::advance(MAX_CONNECTION_AGE - Duration::from_millis(1)).await;
        assert!(connection.is_current(Some(&secret)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!connection.is_current(Some(&secret)));
    }
}
