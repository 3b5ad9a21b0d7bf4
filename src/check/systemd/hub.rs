//! The units that checks watch, shared by all checks: what is known of each, and who wants to hear of changes. One
//! background task a bus keeps it true (see [`super::watch`]); a check only reads it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::table::{GRACE, Link, Table};
use super::unit::Unit;
use super::watch;
use crate::config::systemd::BusAddress;
use crate::model::{Problem, Shortage};
use crate::net::dbus;

/// How often all units are listed although no signal asked for it, in case one was lost.
const RESYNC_INTERVAL: Duration = Duration::from_secs(150);

/// Every bus that some check watches units on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    buses: Arc<Mutex<HashMap<BusAddress, Weak<Bus>>>>,
    resync_interval: Duration,
}

/// One bus with the units watched on it.
#[derive(Debug)]
pub(super) struct Bus {
    pub address: BusAddress,
    pub resync_interval: Duration,
    table: Mutex<Table>,
    /// Notified (permit kept) when a unit came or the last one went.
    pub units_changed: Notify,
    /// Notified (all waiters) when the table got better or worse.
    pub progress: Notify,
}

/// What a check knows of its unit.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub unit: Unit,
    pub activating_since: Option<Instant>,
}

/// A check's interest in one unit. Ends when dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    bus: Arc<Bus>,
    unit: Arc<str>,
    /// Notified when the unit's state or the link to systemd changes.
    pub changed: Arc<Notify>,
    /// Notified (all waiters) when the unit's details come.
    news: Arc<Notify>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::with_resync_interval(RESYNC_INTERVAL)
    }
}

impl Hub {
    /// A hub that lists all units this often although no signal asked for it.
    pub fn with_resync_interval(resync_interval: Duration) -> Self {
        Self {
            buses: Arc::default(),
            resync_interval,
        }
    }

    /// Subscribes to a unit. Nothing is connected before the first run asks for facts.
    pub(super) fn subscribe(&self, address: &BusAddress, unit: &str) -> Subscription {
        let mut buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        buses.retain(|_, bus| bus.strong_count() > 0);
        let bus = buses.get(address).and_then(Weak::upgrade).unwrap_or_else(|| {
            let bus = Arc::new(Bus::new(address.clone(), self.resync_interval));
            buses.insert(address.clone(), Arc::downgrade(&bus));
            bus
        });
        let unit: Arc<str> = unit.into();
        let changed = Arc::new(Notify::new());
        let news = {
            let mut table = bus.table();
            let entry = table.units.entry(unit.clone()).or_default();
            entry.listeners.push(changed.clone());
            entry.news.clone()
        };
        bus.units_changed.notify_one();
        Subscription {
            bus,
            unit,
            changed,
            news,
        }
    }

    /// How many units are watched, on all buses.
    pub fn watched_units(&self) -> usize {
        let buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        buses
            .values()
            .filter_map(Weak::upgrade)
            .map(|bus| bus.table().units.len())
            .sum()
    }
}

impl Bus {
    fn new(address: BusAddress, resync_interval: Duration) -> Self {
        let table = Table {
            units: HashMap::new(),
            link: Link::Pending {
                since: Instant::now(),
                has_grace: false,
                problem: None,
                is_told: false,
                is_felt: false,
            },
            is_task_running: false,
            silent_owner: None,
        };
        Self {
            address,
            resync_interval,
            table: Mutex::new(table),
            units_changed: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// What is known of the unit. Answers at once while the link is up, or known to be down; waits while it is being made,
    /// for this long at most.
    ///
    /// # Errors
    /// Why nothing is known. That systemd has not answered yet is no fault of the unit, so such a run is inconclusive.
    pub async fn facts(&self, wait: Duration) -> Result<Facts, Problem> {
        let deadline = Instant::now() + wait;
        let problem = loop {
            // Enabled before the look at the table, so that no progress is missed in between.
            let (progress, news) = (self.bus.progress.notified(), self.news.notified());
            tokio::pin!(progress, news);
            progress.as_mut().enable();
            news.as_mut().enable();
            let now = Instant::now();
            match self.look(now, now >= deadline) {
                Ok(facts) => return Ok(facts),
                Err(Nothing::Because(problem)) => break problem,
                Err(Nothing::YetUntil(_)) if now >= deadline => break self.no_answer(wait),
                Err(Nothing::YetUntil(until)) => {
                    watch::ensure_running(&self.bus);
                    // Whether it was progress or time that passed, the next look tells.
                    tokio::select! {
                        () = progress => {}
                        () = news => {}
                        () = tokio::time::sleep_until(until.min(deadline)) => {}
                    }
                }
            }
        };
        self.bus.table().feel();
        Err(problem)
    }

    /// What is known now; `is_late` where details are not waited for any longer.
    fn look(&self, now: Instant, is_late: bool) -> Result<Facts, Nothing> {
        let table = self.bus.table();
        if !table.is_task_running {
            return Err(Nothing::YetUntil(now + GRACE));
        }
        match &table.link {
            Link::Pending {
                since,
                has_grace,
                problem,
                ..
            } => match problem {
                Some(problem) if !has_grace || since.elapsed() >= GRACE => {
                    Err(Nothing::Because(problem.clone()))
                }
                Some(_) => Err(Nothing::YetUntil(*since + GRACE)),
                None => Err(Nothing::YetUntil(now + GRACE)),
            },
            Link::Synced => match table.units.get(&self.unit) {
                Some(entry) if entry.is_known => match entry.details_until(now) {
                    Some(until) if !is_late => Err(Nothing::YetUntil(until)),
                    _ => Ok(Facts {
                        unit: entry.unit.clone(),
                        activating_since: entry.activating_since,
                    }),
                },
                _ => Err(Nothing::YetUntil(now + GRACE)),
            },
        }
    }

    fn no_answer(&self, wait: Duration) -> Problem {
        Problem::from_shortage(
            Shortage::Manager,
            format!(
                "asked systemd about {} over D-Bus at {}: no answer within {} ms so far, still waiting; systemd starts again, \
                 reloads or is busy",
                self.unit,
                dbus::describe(&self.bus.address),
                wait.as_millis()
            ),
        )
    }
}

/// Why there are no facts.
enum Nothing {
    /// They may come; look again at this time at the latest.
    YetUntil(Instant),
    /// They will not come soon.
    Because(Problem),
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut table = self.bus.table();
        if let Some(entry) = table.units.get_mut(&self.unit) {
            entry
                .listeners
                .retain(|listener| !Arc::ptr_eq(listener, &self.changed));
            if entry.listeners.is_empty() {
                table.units.remove(&self.unit);
            }
        }
        if table.units.is_empty() {
            drop(table);
            self.bus.units_changed.notify_one();
        }
    }
}
