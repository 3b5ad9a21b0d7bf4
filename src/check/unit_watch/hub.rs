//! The watched units, shared by all checks: the known state of each, and the checks to notify of changes. One background
//! task per bus keeps them up to date (see [`super::watch`]); checks only read them.

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

/// How often all units are listed without a signal, in case one was lost.
const RESYNC_INTERVAL: Duration = Duration::from_secs(150);

/// All buses on which checks watch units. Cheap to clone.
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
    /// Notified (with a stored permit) when a unit is added, is to be refreshed, or the last one is removed.
    pub units_changed: Notify,
    /// Notified (all waiters) when the link is synced or fails.
    pub progress: Notify,
}

/// The known state of a unit.
#[derive(Clone, Debug)]
pub struct UnitFacts {
    pub unit: Unit,
    pub activating_since: Option<Instant>,
}

/// A check's subscription to one unit. Ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    bus: Arc<Bus>,
    unit: Arc<str>,
    /// Notified when the unit's state or the link to systemd changes.
    pub changed: Arc<Notify>,
    /// Notified (all waiters) when the unit's details arrive.
    details_ready: Arc<Notify>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::with_resync_interval(RESYNC_INTERVAL)
    }
}

impl Hub {
    /// Creates a hub that lists all units at this interval, even without a signal.
    pub fn with_resync_interval(resync_interval: Duration) -> Self {
        Self {
            buses: Arc::default(),
            resync_interval,
        }
    }

    /// Subscribes to a unit. The first run that requests facts connects to the bus.
    pub fn subscribe(&self, address: &BusAddress, unit: &str) -> Subscription {
        let mut buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        buses.retain(|_, bus| bus.strong_count() > 0);
        let bus = buses.get(address).and_then(Weak::upgrade).unwrap_or_else(|| {
            let bus = Arc::new(Bus::new(address.clone(), self.resync_interval));
            buses.insert(address.clone(), Arc::downgrade(&bus));
            bus
        });
        let unit: Arc<str> = unit.into();
        let changed = Arc::new(Notify::new());
        let details_ready = {
            let mut table = bus.table();
            let entry = table.units.entry(unit.clone()).or_default();
            entry.listeners.push(changed.clone());
            entry.details_ready.clone()
        };
        bus.units_changed.notify_one();
        Subscription {
            bus,
            unit,
            changed,
            details_ready,
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
                is_announced: false,
                has_failed_run: false,
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
    /// Returns the known state of the unit. Returns immediately if the link is synced or has failed. Otherwise it waits for
    /// the link, up to `wait`.
    ///
    /// # Errors
    /// Why no state is known. If systemd has not responded yet, the run is inconclusive, because this says nothing about the
    /// unit.
    pub async fn facts(&self, wait: Duration) -> Result<UnitFacts, Problem> {
        let deadline = Instant::now() + wait;
        let problem = loop {
            // Enabled before the table is read, so that no notification is missed.
            let (progress, details_ready) = (self.bus.progress.notified(), self.details_ready.notified());
            tokio::pin!(progress, details_ready);
            progress.as_mut().enable();
            details_ready.as_mut().enable();
            let now = Instant::now();
            match self.try_facts(now, now >= deadline) {
                Ok(facts) => return Ok(facts),
                Err(NotReady::Failed(problem)) => break problem,
                Err(NotReady::Until(_)) if now >= deadline => break self.no_response(wait),
                Err(NotReady::Until(until)) => {
                    watch::ensure_running(&self.bus);
                    tokio::select! {
                        () = progress => {}
                        () = details_ready => {}
                        () = tokio::time::sleep_until(until.min(deadline)) => {}
                    }
                }
            }
        };
        self.bus.table().record_failed_run();
        Err(problem)
    }

    /// Returns the state known now. If `is_late`, does not require details.
    fn try_facts(&self, now: Instant, is_late: bool) -> Result<UnitFacts, NotReady> {
        let table = self.bus.table();
        if !table.is_task_running {
            return Err(NotReady::Until(now + GRACE));
        }
        match &table.link {
            Link::Pending {
                since,
                has_grace,
                problem,
                ..
            } => match problem {
                Some(problem) if !has_grace || since.elapsed() >= GRACE => {
                    Err(NotReady::Failed(problem.clone()))
                }
                Some(_) => Err(NotReady::Until(*since + GRACE)),
                None => Err(NotReady::Until(now + GRACE)),
            },
            Link::Synced => match table.units.get(&self.unit) {
                Some(entry) if entry.is_known => match entry.details_until(now) {
                    Some(until) if !is_late => Err(NotReady::Until(until)),
                    _ => Ok(UnitFacts {
                        unit: entry.unit.clone(),
                        activating_since: entry.activating_since,
                    }),
                },
                _ => Err(NotReady::Until(now + GRACE)),
            },
        }
    }

    /// Requests the unit's details again, because its control group does not exist: the unit may have been moved to another slice.
    pub fn refresh(&self) {
        if let Some(entry) = self.bus.table().units.get_mut(&self.unit) {
            entry.is_refresh_wanted = true;
        }
        self.bus.units_changed.notify_one();
    }

    fn no_response(&self, wait: Duration) -> Problem {
        Problem::from_shortage(
            Shortage::Manager,
            format!(
                "querying systemd about {} over D-Bus at {}: no response within {} ms; systemd may be starting, reloading or \
                 busy",
                self.unit,
                dbus::describe(&self.bus.address),
                wait.as_millis()
            ),
        )
    }
}

/// Why no facts are available.
enum NotReady {
    /// They may arrive; try again at this time at the latest.
    Until(Instant),
    /// The link has failed.
    Failed(Problem),
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
