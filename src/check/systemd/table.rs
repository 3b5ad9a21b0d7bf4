//! The units watched on one bus with what is known of each, and how the link to systemd stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::unit::Unit;
use crate::model::Problem;

/// How long a run waits for systemd: for its first answer, and for a lost connection to come back, so that restarting the
/// bus or systemd (`daemon-reexec`) is no failure of every unit. Shorter than the default deadline of a run.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long a run waits for a unit's details, counted from the question about its state. Without them a run knows the
/// state, but not how the unit came to it. So the first look at thousands of units ends soon.
const DETAILS_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Table {
    pub units: HashMap<Arc<str>, Entry>,
    pub link: Link,
    pub is_task_running: bool,
    /// The unique name of a systemd that left a call without an answer. As long as it has that name, its being on the bus
    /// is no sign that it will answer.
    pub silent_owner: Option<String>,
}

/// What stands between us and systemd.
#[derive(Debug)]
pub(super) enum Link {
    /// All that is known is true.
    Synced,
    /// Not connected, or not yet told everything.
    Pending {
        /// Since when.
        since: Instant,
        /// Whether there is reason to expect that it mends at once: it was synced before, or the bus is there and systemd,
        /// which connects to it when it has started it, is not yet.
        has_grace: bool,
        /// What went wrong last.
        problem: Option<Problem>,
        /// Whether the checks have been woken to see the problem.
        is_told: bool,
        /// Whether a run failed because of it.
        is_felt: bool,
    },
}

/// A watched unit.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub unit: Unit,
    /// What the checks were last woken for.
    told: Unit,
    /// Whether systemd has told the unit's state since it was last lost.
    pub is_known: bool,
    /// Whether the details belong to that state.
    pub has_details: bool,
    /// Notified (all waiters) when they come.
    pub news: Arc<Notify>,
    /// Its object path, by which signals name it; aliases share one.
    pub path: Option<Box<str>>,
    /// Since when it has been seen activating.
    pub activating_since: Option<Instant>,
    /// When systemd was last asked about it.
    pub asked: Option<Instant>,
    /// When systemd was last asked about its state.
    pub listed: Option<Instant>,
    /// Whether its state has changed since systemd was last asked about it.
    pub has_changed: bool,
    /// The checks that watch it.
    pub listeners: Vec<Arc<Notify>>,
}

impl Table {
    /// Wakes every check.
    pub fn wake_all(&self) {
        for listener in self.units.values().flat_map(|entry| &entry.listeners) {
            listener.notify_one();
        }
    }

    /// The connection or systemd is gone, or could not be reached (again).
    pub fn set_pending(&mut self, now: Instant, why: Option<Problem>) {
        match &mut self.link {
            Link::Pending { problem, .. } => *problem = why.or(problem.take()),
            Link::Synced => {
                self.link = Link::Pending {
                    since: now,
                    has_grace: true,
                    problem: why,
                    is_told: false,
                    is_felt: false,
                }
            }
        }
    }

    /// There is a bus, but systemd is not on it (yet). One that was there a moment ago has the whole grace to come back.
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

    /// systemd is on the bus under this unique name, and is being asked. Whatever kept it from answering before is over,
    /// unless it is the same one that has not answered.
    pub fn set_asking(&mut self, now: Instant, owner: &str) {
        let is_silent = self.silent_owner.as_deref() == Some(owner);
        self.set_pending(now, None);
        if let Link::Pending {
            has_grace,
            since,
            problem,
            is_told,
            ..
        } = &mut self.link
            && !is_silent
        {
            *has_grace = true;
            *since = now;
            *problem = None;
            *is_told = false;
        }
    }

    /// All is known again.
    pub fn set_synced(&mut self) {
        self.silent_owner = None;
        let was_felt = matches!(self.link, Link::Pending { is_felt: true, .. });
        self.link = Link::Synced;
        if was_felt {
            self.wake_all();
        }
    }

    /// A run fails because of the link: its check is to be woken when that is over.
    pub fn feel(&mut self) {
        if let Link::Pending { is_felt, .. } = &mut self.link {
            *is_felt = true;
        }
    }

    /// When the checks are to be woken to see that the link does not come back; `None` when there is no need.
    pub fn tell_at(&self) -> Option<Instant> {
        match &self.link {
            Link::Pending {
                since,
                is_told: false,
                problem: Some(_),
                ..
            } => Some(*since + GRACE),
            _ => None,
        }
    }

    /// Wakes the checks if it is time to.
    pub fn tell(&mut self, now: Instant) {
        if self.tell_at().is_some_and(|at| at <= now) {
            if let Link::Pending { is_told, .. } = &mut self.link {
                *is_told = true;
            }
            self.wake_all();
        }
    }
}

impl Entry {
    /// Until when a run waits for the unit's details; `None` where there is no need.
    pub fn details_until(&self, now: Instant) -> Option<Instant> {
        let until = self.listed? + DETAILS_PATIENCE;
        (!self.has_details && until > now).then_some(until)
    }

    /// The details are there, or will not come.
    pub fn finish_details(&mut self, now: Instant) {
        self.has_details = true;
        self.finish(now);
        self.news.notify_waiters();
    }

    /// The state is known: notes since when the unit is activating, and wakes the checks that watch the unit if it is not
    /// what they last heard.
    pub fn finish(&mut self, now: Instant) {
        self.is_known = true;
        if &*self.unit.active != "activating" {
            self.activating_since = None;
        } else if self.activating_since.is_none() {
            self.activating_since = Some(now);
        }
        if self.unit.differs(&self.told) {
            self.told = self.unit.clone();
            for listener in &self.listeners {
                listener.notify_one();
            }
        }
    }
}
