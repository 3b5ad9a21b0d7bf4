//! What is said on one connection: which calls to send, and what every message means. Does no input or output itself.
//!
//! Replies and signals are taken from one stream, in the order in which systemd sent them, so the last one is the truth.
//! First the match rules, then `Subscribe`, then `ListUnitsByNames`: no change can fall in between.

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

/// How long systemd and the bus may take to answer a call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer systemd may take for each unit of a list. Loading one from its file takes it some 0.3 ms on two
/// shared cores of 2024 (measured with 2,000).
const CALL_TIMEOUT_PER_UNIT: Duration = Duration::from_millis(5);

/// How many units' details may be asked for at once, so that signals do not queue up behind them.
const DETAILS_WINDOW: usize = 16;

/// How long after a restart of systemd the details of units that have not changed are asked for again. While it is
/// restarted several times in a row, that can wait.
const SETTLING: Duration = Duration::from_secs(3);

/// The first wait before an announcement leads to a question. It doubles while the answers bring nothing new, for two
/// exporters may hear each other's echoes.
const LAZY: Duration = Duration::from_secs(1);

/// The shortest time between questions about a unit whose signals do not fit what is known.
const URGENT: Duration = Duration::from_millis(50);

/// The state of the conversation on one connection.
#[derive(Debug)]
pub(super) struct Session {
    bus: String,
    /// The unique name of systemd's connection, while it is on the bus.
    owner: Option<String>,
    calls: VecDeque<Call>,
    in_flight: HashMap<NonZeroU32, (Call, Instant)>,
    /// Units to list at `due`.
    wanted: BTreeSet<Arc<str>>,
    due: Option<Instant>,
    lazy: Duration,
    /// Units whose properties are to be asked for, since runs may wait for them.
    details: VecDeque<Arc<str>>,
    /// Those for which that can wait, and until when.
    later: VecDeque<Arc<str>>,
    later_at: Instant,
    by_path: HashMap<Box<str>, Vec<Arc<str>>>,
    resync_at: Instant,
    resync_interval: Duration,
    /// Whether systemd has not yet told about every unit since it came.
    is_new: bool,
    has_progress: bool,
}

impl Session {
    /// A conversation that begins now.
    pub fn new(address: &BusAddress, resync_interval: Duration, now: Instant) -> Self {
        Self {
            bus: dbus::describe(address),
            owner: None,
            calls: Call::opening().into(),
            in_flight: HashMap::new(),
            wanted: BTreeSet::new(),
            due: None,
            lazy: LAZY,
            details: VecDeque::new(),
            later: VecDeque::new(),
            later_at: now,
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
            format!("lost systemd on D-Bus at {}: {why}; connecting again", self.bus),
        )
    }

    /// Whether something happened that runs may be waiting for, since the last question.
    pub fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progress)
    }

    /// The next message to send, if any is due.
    pub fn next_call(&mut self, table: &mut Table, now: Instant) -> Result<Option<Message>, Problem> {
        let Some(call) = self.pick(table, now) else {
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

    fn pick(&mut self, table: &mut Table, now: Instant) -> Option<Call> {
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
                note_asked(table, &names, now);
                return Some(Call::List(names));
            }
        }
        while self.has_room() {
            let name = match self.details.pop_front() {
                Some(name) => name,
                None if self.later_at <= now => self.later.pop_front()?,
                None => return None,
            };
            if let Some(entry) = table.units.get_mut(&name)
                && let Some(path) = entry.path.clone()
            {
                entry.asked = Some(now);
                return Some(Call::Details(name, path));
            }
        }
        None
    }

    /// Whether another unit's details may be asked for.
    fn has_room(&self) -> bool {
        let details = |(call, _): &&(Call, Instant)| matches!(call, Call::Details(..));
        self.in_flight.values().filter(details).count() < DETAILS_WINDOW
    }

    /// One list at a time, so that an earlier answer never overwrites a later one's plan.
    fn can_list(&self) -> bool {
        self.owner.is_some()
            && !self
                .in_flight
                .values()
                .any(|(call, _)| matches!(call, Call::List(_)))
    }

    /// When [`Self::tick`] is to be called, unless something else happens.
    pub fn deadline(&self, table: &Table) -> Instant {
        let due = self.due.filter(|_| self.can_list());
        let timeout = self.in_flight.values().map(|(_, deadline)| *deadline).min();
        let later = (!self.later.is_empty()).then_some(self.later_at);
        let later = later.filter(|_| self.owner.is_some() && self.has_room());
        [due, timeout, later, table.tell_at()]
            .into_iter()
            .flatten()
            .fold(self.resync_at, Instant::min)
    }

    /// Does what is due.
    pub fn tick(&mut self, table: &mut Table, now: Instant) -> Result<(), Problem> {
        table.tell(now);
        if let Some((call, _)) = self.in_flight.values().find(|(_, deadline)| *deadline <= now) {
            let seconds = CALL_TIMEOUT.as_secs();
            table.silent_owner.clone_from(&self.owner);
            return Err(self.lost(&format!("no answer to {} within {seconds} s", call.name())));
        }
        if self.resync_at <= now {
            self.want_all(table, now);
        }
        Ok(())
    }

    fn want_all(&mut self, table: &Table, now: Instant) {
        self.resync_at = now + self.resync_interval;
        self.wanted.extend(table.units.keys().cloned());
        self.due = Some(now);
    }

    fn want(&mut self, name: &Arc<str>, at: Instant) {
        self.wanted.insert(name.clone());
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Asks about units that came while the conversation was going on.
    pub fn ask_unknown(&mut self, table: &Table) {
        for (name, entry) in &table.units {
            if !entry.is_known && entry.asked.is_none() {
                self.want(name, Instant::now());
            }
        }
    }

    /// Takes a message: a reply to one of the calls, or a signal.
    pub fn receive(&mut self, message: &Message, table: &mut Table, now: Instant) -> Result<(), Problem> {
        match message.message_type() {
            Type::Signal => self.signal(message, table, now),
            Type::MethodReturn | Type::Error => {
                let serial = message.header().reply_serial();
                let Some((call, _)) = serial.and_then(|serial| self.in_flight.remove(&serial)) else {
                    return Ok(());
                };
                if message.message_type() == Type::Error {
                    self.refused(call, message, table, now)?;
                } else {
                    self.answered(call, message, table, now)
                        .map_err(|error| self.lost(&error.to_string()))?;
                }
            }
            Type::MethodCall => {}
        }
        self.conclude(table);
        Ok(())
    }

    /// Whether every unit is known now.
    fn conclude(&mut self, table: &mut Table) {
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

    /// systemd is on the bus under this unique name, or (empty) is not.
    fn set_owner(&mut self, owner: &str, table: &mut Table, now: Instant) {
        self.in_flight
            .retain(|_, (call, _)| matches!(call, Call::AddMatch(_) | Call::Owner));
        self.details.clear();
        self.later.clear();
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
                    "systemd is not on D-Bus at {}: does systemd run here (in a container, give `bus_address` or mount \
                     the host's bus)?",
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
            self.later_at = if is_first { now } else { now + SETTLING };
            table.set_asking(now, owner);
            self.calls.push_back(Call::Subscribe);
            self.want_all(table, now);
        }
    }
}

fn note_asked(table: &mut Table, names: &[Arc<str>], now: Instant) {
    for name in names {
        if let Some(entry) = table.units.get_mut(name) {
            entry.asked = Some(now);
            entry.listed = Some(now);
            entry.has_changed = false;
        }
    }
}

#[cfg(test)]
mod tests;
