//! Decides which services are in maintenance. Pure.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::command_window::CommandWindow;
use crate::config::Service;
use crate::config::maintenance::{MaintenanceWindow, Occurrence};
use crate::model::{Maintenance, Moment, ServiceKey, WallAnchor};

/// All windows and services at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// The services of the configuration.
    pub services: &'a [Arc<Service>],
    /// The windows of the configuration.
    pub configured: &'a [ConfiguredWindow],
    /// The windows of commands, also those that ended lately.
    pub commands: &'a [CommandWindow],
    /// The moment.
    pub now: Moment,
    /// The wall clock.
    pub wall: WallAnchor,
}

impl Windows<'_> {
    /// The windows that hold.
    pub fn holding(&self) -> Vec<Holding<'_>> {
        let configured = self.configured.iter().filter_map(|window| {
            Some(Holding {
                maintenance: Arc::new(configured(&window.window, window.active?)),
                source: Source::Configured(&window.window),
            })
        });
        let commands = self.commands.iter().filter(|window| window.is_active(self.now));
        let commands = commands.map(|window| Holding {
            maintenance: Arc::new(Maintenance {
                id: window.id.clone(),
                started: self.wall.seconds(window.started),
                ends: self.wall.seconds(window.ends),
                reason: window.reason.clone(),
                by: Some(window.by.clone()),
            }),
            source: Source::Command(window),
        });
        configured.chain(commands).collect()
    }

    /// The services in maintenance, each with the window that ends last.
    pub fn services_in(&self, holding: &[Holding<'_>]) -> BTreeMap<ServiceKey, Arc<Maintenance>> {
        let in_maintenance = self.services.iter().filter_map(|service| {
            let windows = holding.iter().filter(|window| window.covers(service));
            let last = windows.max_by(|a, b| a.maintenance.ends.total_cmp(&b.maintenance.ends))?;
            Some((service.key.clone(), Arc::clone(&last.maintenance)))
        });
        in_maintenance.collect()
    }

    /// When the maintenance of each service last ended, of those that ended within the last hour. Used at the start of the
    /// exporter: windows may have ended while it did not run.
    pub fn ended(&self) -> BTreeMap<ServiceKey, Moment> {
        let mut ended: BTreeMap<ServiceKey, Moment> = BTreeMap::new();
        let mut add = |service: &Service, end: Moment| {
            let entry = ended.entry(service.key.clone()).or_insert(end);
            *entry = end.max(*entry);
        };
        let now = self.timestamp();
        for ConfiguredWindow { window, .. } in self.configured {
            let Some(end) = window.schedule.ended(now) else {
                continue;
            };
            let end = self.moment(end);
            for service in self.services.iter().filter(|service| covers(window, service)) {
                add(service, end);
            }
        }
        for window in self.commands.iter().filter(|window| !window.is_active(self.now)) {
            for service in self.services.iter().filter(|service| window.covers(service)) {
                add(service, window.ends);
            }
        }
        ended
    }

    /// The wall clock as a timestamp.
    pub fn timestamp(&self) -> Timestamp {
        timestamp(self.now, self.wall)
    }

    fn moment(&self, timestamp: Timestamp) -> Moment {
        let nanos = i64::try_from(timestamp.as_nanosecond()).unwrap_or(i64::MAX);
        self.wall.moment(nanos)
    }
}

/// A window of the configuration. A search for its starts can take milliseconds, so the result is reused until it changes.
#[derive(Clone, Debug)]
pub struct ConfiguredWindow {
    /// The window.
    pub window: Arc<MaintenanceWindow>,
    /// What holds.
    active: Option<Occurrence>,
    /// From when until when that is known.
    known: Range<Timestamp>,
}

impl ConfiguredWindow {
    /// A window whose state is not known yet.
    pub fn new(window: Arc<MaintenanceWindow>) -> Self {
        Self {
            window,
            active: None,
            known: Timestamp::MAX..Timestamp::MAX,
        }
    }

    /// Finds what holds at `now`.
    pub fn refresh(&mut self, now: Timestamp) {
        if self.known.contains(&now) {
            return;
        }
        let schedule = &self.window.schedule;
        self.active = schedule.active(now);
        let next = schedule.next_start(now).unwrap_or(Timestamp::MAX);
        self.known = now..self.active.map_or(next, |active| active.end.min(next));
    }
}

/// A moment on the wall clock.
pub fn timestamp(moment: Moment, wall: WallAnchor) -> Timestamp {
    Timestamp::from_nanosecond(wall.nanos(moment).into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A window that holds.
#[derive(Clone, Debug)]
pub struct Holding<'a> {
    /// What people see of it.
    pub maintenance: Arc<Maintenance>,
    source: Source<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Configured(&'a MaintenanceWindow),
    Command(&'a CommandWindow),
}

impl Holding<'_> {
    fn covers(&self, service: &Service) -> bool {
        match self.source {
            Source::Configured(window) => covers(window, service),
            Source::Command(window) => window.covers(service),
        }
    }
}

/// The moment of a Unix time in seconds.
#[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
pub fn moment_of(seconds: f64, wall: WallAnchor) -> Moment {
    wall.moment((seconds * 1e9) as i64)
}

/// Whether a window of the configuration is for this service.
fn covers(window: &MaintenanceWindow, service: &Service) -> bool {
    let services = window.services.as_ref();
    services.is_none_or(|services| services.contains(&service.key))
}

fn configured(window: &MaintenanceWindow, occurrence: Occurrence) -> Maintenance {
    Maintenance {
        id: window.name.clone(),
        started: seconds(occurrence.start),
        ends: seconds(occurrence.end),
        reason: window.reason.clone(),
        by: None,
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a quarter of a microsecond is lost in our century"
)]
fn seconds(timestamp: Timestamp) -> f64 {
    timestamp.as_nanosecond() as f64 / 1e9
}
