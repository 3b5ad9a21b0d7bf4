//! The watched units of one bus with their known state, and the state of the link to systemd.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::unit::Unit;
use crate::model::Problem;

/// How long a run waits for systemd: for its first response, and for a lost connection to be restored. So a restart of the
/// bus or of systemd (`daemon-reexec`) does not fail all units. Shorter than the default deadline of a run.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long a run waits for a unit's details after its state was requested. Without details, a run knows the state but not
/// its cause. The limit keeps the first run short if there are thousands of units.
const DETAILS_TIMEOUT: Duration = Duration::from_secs(1);

/// The watched units and the link of one bus.
#[derive(Debug)]
pub(super) struct Table {
    pub units: HashMap<Arc<str>, Entry>,
    pub link: Link,
    pub is_task_running: bool,
    /// The unique name of a systemd that did not respond to a call. While it has this name, its presence on the bus does not
    /// mean that it responds.
    pub silent_owner: Option<String>,
}

/// The link to systemd.
#[derive(Debug)]
pub(super) enum Link {
    /// The state of all units is up to date.
    Synced,
    /// Not connected, or the states of some units are still unknown.
    Pending {
        /// Since when.
        since: Instant,
        /// Whether it will probably recover at once: it was synced before, or the bus is up and systemd has not connected to it
        /// yet.
        has_grace: bool,
        /// The last problem.
        problem: Option<Problem>,
        /// Whether the checks have been woken because of the problem.
        is_announced: bool,
        /// Whether a run failed because of the problem.
        has_failed_run: bool,
    },
}

/// A watched unit.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub unit: Unit,
    /// The state for which the checks were last woken.
    notified: Unit,
    /// Whether systemd has sent the unit's state since the connection was last lost.
    pub is_known: bool,
    /// Whether the details belong to that state.
    pub has_details: bool,
    /// Notified (all waiters) when the details arrive.
    pub details_ready: Arc<Notify>,
    /// The object path, which identifies the unit in signals. Aliases share one.
    pub path: Option<Box<str>>,
    /// Since when it has been seen activating.
    pub activating_since: Option<Instant>,
    /// When its state or its details were last requested.
    pub requested_at: Option<Instant>,
    /// When its state was last requested.
    pub listed_at: Option<Instant>,
    /// Whether a check wants the details to be requested again.
    pub is_refresh_wanted: bool,
    /// Whether its state has changed since it was last listed.
    pub has_changed: bool,
    /// The checks that watch it.
    pub listeners: Vec<Arc<Notify>>,
}

impl Table {
    /// Wakes all checks.
    pub fn wake_all(&self) {
        for listener in self.units.values().flat_map(|entry| &entry.listeners) {
            listener.notify_one();
        }
    }

    /// Records that the connection or systemd was lost, or could not be reached.
    pub fn set_pending(&mut self, now: Instant, why: Option<Problem>) {
        match &mut self.link {
            Link::Pending { problem, .. } => *problem = why.or(problem.take()),
            Link::Synced => {
                self.link = Link::Pending {
                    since: now,
                    has_grace: true,
                    problem: why,
                    is_announced: false,
                    has_failed_run: false,
                }
            }
        }
    }

    /// Records that the bus is up but systemd is not on it. A systemd that was on the bus until now gets the full grace time.
    pub fn set_absent(&mut self, now: Instant, why: Problem) {
        let was_there = matches!(&self.link, Link::Pending { problem: None, .. });
        self.set_pending(now, Some(why));
        if let Link::Pending { has_grace, since, .. } = &mut self.link {
            *has_grace = true;
            if was_there {
                *since = now;
            }
        }
    }

    /// Records that systemd is on the bus under this unique name and is being queried. This clears earlier problems, unless
    /// the systemd with this name did not respond before.
    pub fn set_querying(&mut self, now: Instant, owner: &str) {
        let is_silent = self.silent_owner.as_deref() == Some(owner);
        self.set_pending(now, None);
        if let Link::Pending {
            has_grace,
            since,
            problem,
            is_announced,
            ..
        } = &mut self.link
            && !is_silent
        {
            *has_grace = true;
            *since = now;
            *problem = None;
            *is_announced = false;
        }
    }

    /// Records that the states of all units are known.
    pub fn set_synced(&mut self) {
        self.silent_owner = None;
        let has_failed_run = matches!(
            self.link,
            Link::Pending {
                has_failed_run: true,
                ..
            }
        );
        self.link = Link::Synced;
        if has_failed_run {
            self.wake_all();
        }
    }

    /// Records that a run fails because of the link, so that the checks are woken when it recovers.
    pub fn record_failed_run(&mut self) {
        if let Link::Pending { has_failed_run, .. } = &mut self.link {
            *has_failed_run = true;
        }
    }

    /// When to wake the checks because the link has not recovered; `None` if not needed.
    pub fn notify_at(&self) -> Option<Instant> {
        match &self.link {
            Link::Pending {
                since,
                is_announced: false,
                problem: Some(_),
                ..
            } => Some(*since + GRACE),
            _ => None,
        }
    }

    /// Wakes the checks if [`Self::notify_at`] has passed.
    pub fn notify_overdue(&mut self, now: Instant) {
        if self.notify_at().is_some_and(|at| at <= now) {
            if let Link::Pending { is_announced, .. } = &mut self.link {
                *is_announced = true;
            }
            self.wake_all();
        }
    }
}

impl Entry {
    /// Until when a run waits for the unit's details; `None` if not needed.
    pub fn details_until(&self, now: Instant) -> Option<Instant> {
        let until = self.listed_at? + DETAILS_TIMEOUT;
        (!self.has_details && until > now).then_some(until)
    }

    /// Records that the details have arrived, or will not arrive.
    pub fn set_details_known(&mut self, now: Instant) {
        self.has_details = true;
        self.set_known(now);
        self.details_ready.notify_waiters();
    }

    /// Records that the state is known, and since when the unit is activating. Wakes the checks of the unit if the state
    /// changed since they were last woken.
    pub fn set_known(&mut self, now: Instant) {
        self.is_known = true;
        if &*self.unit.active != "activating" {
            self.activating_since = None;
        } else if self.activating_since.is_none() {
            self.activating_since = Some(now);
        }
        if self.unit.differs(&self.notified) {
            self.notified = self.unit.clone();
            for listener in &self.listeners {
                listener.notify_one();
            }
        }
    }
}
