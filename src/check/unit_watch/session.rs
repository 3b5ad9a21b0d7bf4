//! The protocol on one connection: which calls to send, and how to handle every message. Does no I/O.
//!
//! Replies and signals arrive in one stream, in the order in which systemd sent them, so the last one is valid. The match
//! rules are sent first, then `Subscribe`, then `ListUnitsByNames`, so that no change is missed.

mod replies;
mod signals;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zbus::Message;
use zbus::message::Type;

use super::calls::Call;
use super::table::Table;
use crate::config::systemd::BusAddress;
use crate::model::{Problem, Reason};
use crate::net::dbus;

/// The timeout of a call to systemd or the bus.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The additional timeout for every unit of a list. Loading a unit from its file takes systemd about 0.3 ms on two shared
/// cores of 2024 (measured with 2,000 units).
const CALL_TIMEOUT_PER_UNIT: Duration = Duration::from_millis(5);

/// How many units' details are requested at the same time. Signals must not queue up behind them.
const DETAILS_WINDOW: usize = 16;

/// How long after a restart of systemd the details of unchanged units are requested again. Systemd may be restarted several
/// times in a row.
const SETTLING: Duration = Duration::from_secs(3);

/// The initial delay between the announcement of a unit and the request for its state. It doubles while the responses contain
/// no change, because two exporters can trigger each other's announcements.
const LAZY_DELAY: Duration = Duration::from_secs(1);

/// The delay before a unit is listed again because its signals are not enough.
const URGENT_DELAY: Duration = Duration::from_millis(50);

/// The state of the protocol on one connection.
#[derive(Debug)]
pub(super) struct BusSession {
    bus: String,
    /// The unique name of systemd's connection, while it is on the bus.
    owner: Option<String>,
    calls: VecDeque<Call>,
    in_flight: HashMap<NonZeroU32, (Call, Instant)>,
    /// Units to list at `due`.
    wanted: BTreeSet<Arc<str>>,
    due: Option<Instant>,
    lazy_delay: Duration,
    /// Units whose details to request next, because runs may wait for them.
    details: VecDeque<Arc<str>>,
    /// Units whose details to request after `deferred_until`.
    deferred: VecDeque<Arc<str>>,
    deferred_until: Instant,
    by_path: HashMap<Box<str>, Vec<Arc<str>>>,
    resync_at: Instant,
    resync_interval: Duration,
    /// Whether systemd has not sent the states of all units since it appeared.
    is_new: bool,
    has_progress: bool,
}

impl BusSession {
    /// Creates the state of a new connection.
    pub fn new(address: &BusAddress, resync_interval: Duration, now: Instant) -> Self {
        Self {
            bus: dbus::describe(address),
            owner: None,
            calls: Call::initial().into(),
            in_flight: HashMap::new(),
            wanted: BTreeSet::new(),
            due: None,
            lazy_delay: LAZY_DELAY,
            details: VecDeque::new(),
            deferred: VecDeque::new(),
            deferred_until: now,
            by_path: HashMap::new(),
            resync_at: now + resync_interval,
            resync_interval,
            is_new: true,
            has_progress: false,
        }
    }

    /// The problem of a lost connection.
    pub fn lost(&self, why: &str) -> Problem {
        Problem::new(
            Reason::Unreachable,
            format!(
                "lost the connection to systemd on D-Bus at {}: {why}; reconnecting",
                self.bus
            ),
        )
    }

    /// Whether something happened since the last call that runs may wait for.
    pub fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progress)
    }

    /// The next message to send, if any is due.
    pub fn next_call(&mut self, table: &mut Table, now: Instant) -> Result<Option<Message>, Problem> {
        let Some(call) = self.next_due(table, now) else {
            return Ok(None);
        };
        let message = call.message().map_err(|error| self.lost(&error.to_string()))?;
        let serial = message.primary_header().serial_num();
        let units = match &call {
            Call::List(names) => u32::try_from(names.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        let deadline = now + CALL_TIMEOUT + CALL_TIMEOUT_PER_UNIT.saturating_mul(units);
        self.in_flight.insert(serial, (call, deadline));
        Ok(Some(message))
    }

    fn next_due(&mut self, table: &mut Table, now: Instant) -> Option<Call> {
        if let Some(call) = self.calls.pop_front() {
            return Some(call);
        }
        self.owner.as_ref()?;
        if self.can_list() && self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let names: Vec<Arc<str>> = std::mem::take(&mut self.wanted)
                .into_iter()
                .filter(|name| table.units.contains_key(name))
                .collect();
            if !names.is_empty() {
                mark_requested(table, &names, now);
                return Some(Call::List(names));
            }
        }
        while self.has_room() {
            let name = match self.details.pop_front() {
                Some(name) => name,
                None if self.deferred_until <= now => self.deferred.pop_front()?,
                None => return None,
            };
            if let Some(entry) = table.units.get_mut(&name)
                && let Some(path) = entry.path.clone()
            {
                entry.requested_at = Some(now);
                return Some(Call::Details(name, path));
            }
        }
        None
    }

    /// Whether the details of another unit may be requested.
    fn has_room(&self) -> bool {
        let details = |(call, _): &&(Call, Instant)| matches!(call, Call::Details(..));
        self.in_flight.values().filter(details).count() < DETAILS_WINDOW
    }

    /// Whether units may be listed. Only one list is requested at a time, so that an older response never overrides a newer
    /// request.
    fn can_list(&self) -> bool {
        self.owner.is_some()
            && !self
                .in_flight
                .values()
                .any(|(call, _)| matches!(call, Call::List(_)))
    }

    /// When to call [`Self::tick`] at the latest.
    pub fn deadline(&self, table: &Table) -> Instant {
        let due = self.due.filter(|_| self.can_list());
        let timeout = self.in_flight.values().map(|(_, deadline)| *deadline).min();
        let later = (!self.deferred.is_empty()).then_some(self.deferred_until);
        let later = later.filter(|_| self.owner.is_some() && self.has_room());
        [due, timeout, later, table.notify_at()]
            .into_iter()
            .flatten()
            .fold(self.resync_at, Instant::min)
    }

    /// Handles timeouts and schedules the regular list.
    pub fn tick(&mut self, table: &mut Table, now: Instant) -> Result<(), Problem> {
        table.notify_overdue(now);
        if let Some((call, _)) = self.in_flight.values().find(|(_, deadline)| *deadline <= now) {
            let seconds = CALL_TIMEOUT.as_secs();
            table.silent_owner.clone_from(&self.owner);
            return Err(self.lost(&format!("no response to {} within {seconds} s", call.name())));
        }
        if self.resync_at <= now {
            self.schedule_all(table, now);
        }
        Ok(())
    }

    fn schedule_all(&mut self, table: &Table, now: Instant) {
        self.resync_at = now + self.resync_interval;
        self.wanted.extend(table.units.keys().cloned());
        self.due = Some(now);
    }

    fn schedule(&mut self, name: &Arc<str>, at: Instant) {
        self.wanted.insert(name.clone());
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Schedules what checks want: the listing of units that were added after the connection was made, and the details of units
    /// whose control group is out of date.
    pub fn schedule_wanted(&mut self, table: &mut Table) {
        for (name, entry) in &mut table.units {
            if !entry.is_known && entry.requested_at.is_none() {
                self.schedule(name, Instant::now());
            } else if std::mem::take(&mut entry.is_refresh_wanted) && entry.is_known {
                self.request_details(name);
            }
        }
    }

    /// Handles a message: a reply to one of the calls, or a signal.
    pub fn receive(&mut self, message: &Message, table: &mut Table, now: Instant) -> Result<(), Problem> {
        match message.message_type() {
            Type::Signal => self.handle_signal(message, table, now),
            Type::MethodReturn | Type::Error => {
                let serial = message.header().reply_serial();
                let Some((call, _)) = serial.and_then(|serial| self.in_flight.remove(&serial)) else {
                    return Ok(());
                };
                if message.message_type() == Type::Error {
                    self.handle_error(call, message, table, now)?;
                } else {
                    self.handle_reply(call, message, table, now)
                        .map_err(|error| self.lost(&error.to_string()))?;
                }
            }
            Type::MethodCall => {}
        }
        self.finish_sync(table);
        Ok(())
    }

    /// Marks the link as synced once all units are known.
    fn finish_sync(&mut self, table: &mut Table) {
        if self.is_new
            && self.owner.is_some()
            && self.calls.is_empty()
            && table.units.values().all(|entry| entry.is_known)
        {
            self.is_new = false;
            table.set_synced();
            self.has_progress = true;
        }
    }

    /// Records that systemd is on the bus under this unique name, or (empty) that it is not.
    fn set_owner(&mut self, owner: &str, table: &mut Table, now: Instant) {
        self.in_flight
            .retain(|_, (call, _)| matches!(call, Call::AddMatch(_) | Call::Owner));
        self.details.clear();
        self.deferred.clear();
        self.wanted.clear();
        self.due = None;
        self.calls
            .retain(|call| matches!(call, Call::AddMatch(_) | Call::Owner));
        self.is_new = true;
        if owner.is_empty() {
            self.owner = None;
            let problem = Problem::new(
                Reason::Unreachable,
                format!(
                    "systemd is not on D-Bus at {}: check that systemd runs here; in a container, set `bus_address` or mount \
                     the host's bus",
                    self.bus
                ),
            );
            table.set_absent(now, problem);
            self.has_progress = true;
        } else {
            self.owner = Some(owner.to_owned());
            let mut is_first = true;
            for entry in table.units.values_mut() {
                entry.is_known = false;
                is_first &= !entry.has_details;
            }
            self.deferred_until = if is_first { now } else { now + SETTLING };
            table.set_querying(now, owner);
            self.calls.push_back(Call::Subscribe);
            self.schedule_all(table, now);
        }
    }
}

fn mark_requested(table: &mut Table, names: &[Arc<str>], now: Instant) {
    for name in names {
        if let Some(entry) = table.units.get_mut(name) {
            entry.requested_at = Some(now);
            entry.listed_at = Some(now);
            entry.has_changed = false;
        }
    }
}

#[cfg(test)]
mod tests;
