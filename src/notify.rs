//! Notifies the service manager of the exporter's state (sd_notify(3)) and pings its watchdog. Does nothing without a service
//! manager.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Reports that the exporter serves. `systemctl status` shows `status`.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reports that a reload begins; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Reports that the exporter is stopping.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Pings the watchdog while `is_alive` is true, at twice the rate that the service manager requires. Never returns.
pub async fn ping_watchdog(is_alive: impl Fn() -> bool) {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((timeout / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        if is_alive() {
            send(&[NotifyState::Watchdog]);
        } else {
            warn!("scheduler stalled; not pinging the watchdog");
        }
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "can't notify the service manager");
    }
}
