//! Bounds the time before an action.

use std::time::Duration;

use super::error::{ActError, Failure};

/// The timeout of a query for a state. systemd and engines usually respond within milliseconds.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs what precedes an action. An engine or bus that hangs for longer must not act on an old request when it continues.
pub(super) async fn prepare<T>(
    doing: &str,
    steps: impl Future<Output = Result<T, ActError>>,
) -> Result<T, ActError> {
    tokio::time::timeout(QUERY_TIMEOUT, steps)
        .await
        .unwrap_or_else(|_| {
            Err(ActError::new(
                Failure::Unreachable,
                format_args!(
                    "{doing}: no response after {} s; nothing was done",
                    QUERY_TIMEOUT.as_secs()
                ),
            ))
        })
}
