//! Retries a heartbeat until the exporter has it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::beat::Beat;
use super::client::{HeartbeatClient, HeartbeatError};
use crate::cli::exit::print_error;
use crate::config::duration::DurationText;

/// The time limit of each attempt. A response takes milliseconds, but the machine may be busy.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after the first attempt. It doubles after each attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, unless the server requests a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A heartbeat was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Further attempts are useless.
    #[error("{0}")]
    Permanent(HeartbeatError),
    /// The time for attempts is over.
    #[error("{error}; gave up after {attempts}{within}", attempts = attempts_text(*attempts), within = within(*retry_for))]
    GaveUp {
        /// The error of the last attempt.
        error: HeartbeatError,
        /// The number of attempts.
        attempts: u32,
        /// The time for attempts.
        retry_for: Duration,
    },
}

fn attempts_text(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        more => format!("{more} attempts"),
    }
}

fn within(retry_for: Duration) -> String {
    match retry_for {
        Duration::ZERO => String::new(),
        time => format!(" within {}", DurationText(time)),
    }
}

/// Sends a heartbeat until the exporter has it, or until `retry_for` is over. On a terminal, it prints why it retries.
///
/// # Errors
/// When the exporter rejects it, or no attempt succeeded in time.
pub async fn deliver(
    client: &mut HeartbeatClient,
    beat: Beat,
    message: &Bytes,
    retry_for: Duration,
) -> Result<(), DeliveryError> {
    let deadline = Instant::now() + retry_for;
    let mut attempts = 0;
    loop {
        let Err(error) = client.send(beat, message.clone(), ATTEMPT_TIMEOUT).await else {
            return Ok(());
        };
        attempts += 1;
        if !error.is_temporary() {
            return Err(DeliveryError::Permanent(error));
        }
        // The last attempt is at the deadline.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(DeliveryError::GaveUp {
                error,
                attempts,
                retry_for,
            });
        }
        // Elsewhere it would be noise: cron sends a mail about every output, also if the exporter only restarts.
        if attempts == 1 && io::stderr().is_terminal() {
            let retry_for = DurationText(retry_for);
            print_error(&format_args!(
                "upkeep_exporter: {}: {error}; retrying for {retry_for}",
                client.shown()
            ));
        }
        let pause = pause_after(attempts, random_byte()).max(error.retry_after().unwrap_or_default());
        sleep(pause.min(left)).await;
    }
}

/// The pause after this many attempts, between half and all of the backoff: many jobs may wait for the same exporter.
fn pause_after(attempts: u32, random: u8) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let backoff = doubled.min(MAX_PAUSE);
    backoff.mul_f64(0.5 + f64::from(random) / f64::from(u8::MAX) / 2.0)
}

fn random_byte() -> u8 {
    let mut byte = [u8::MAX];
    // Without randomness, the pause is the whole backoff.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses =
            |random| [1, 2, 3, 5, 6, 100].map(|attempts| pause_after(attempts, random).as_secs_f64());
        assert_eq!(pauses(u8::MAX), [1.0, 2.0, 4.0, 16.0, 30.0, 30.0]);
        assert_eq!(pauses(0), [0.5, 1.0, 2.0, 8.0, 15.0, 15.0]);
    }
}
