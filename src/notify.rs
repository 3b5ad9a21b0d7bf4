//! Tells the service manager how the exporter is: sd_notify(3), the watchdog included. Does nothing where no manager
//! asked for it.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Says that the exporter serves; `status` is shown by `systemctl status`.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the configuration is being loaded again; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Says that the exporter is about to end.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Feeds the watchdog for as long as `is_alive` says so, at twice the rate that the service manager asks for. Never
/// returns; ends with the task it runs in.
pub async fn feed_watchdog(is_alive: impl Fn() -> bool) {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut beat = tokio::time::interval((timeout / 2).max(Duration::from_millis(10)));
    loop {
        beat.tick().await;
        if is_alive() {
            send(&[NotifyState::Watchdog]);
        } else {
            warn!("the scheduler does not turn; leaving the watchdog unfed");
        }
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "telling the service manager");
    }
}
