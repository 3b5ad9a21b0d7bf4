//! Handles signals.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zbus::Message;

use super::super::calls::Signal;
use super::super::table::{Entry, Table};
use super::super::unit::Properties;
use super::{BusSession, LAZY_DELAY, URGENT_DELAY};

/// Announcements this soon after a request for the unit are ignored as its echo: the request makes systemd load and unload a
/// unit that nothing refers to.
const ECHO: Duration = Duration::from_secs(2);

impl BusSession {
    pub(super) fn handle_signal(&mut self, message: &Message, table: &mut Table, now: Instant) {
        let header = message.header();
        let sender = header.sender().map(|name| name.as_str());
        // Any client of a bus can send signals to any other, but the bus itself sets the sender.
        let is_bus = sender == Some("org.freedesktop.DBus");
        if !is_bus && (sender.is_none() || sender != self.owner.as_deref()) {
            return;
        }
        let body = message.body();
        match Signal::parse(&header, &body) {
            Some(Signal::OwnerChanged { owner }) if is_bus => {
                if self.owner.as_deref().unwrap_or("") != owner {
                    self.set_owner(owner, table, now);
                }
            }
            Some(_) if is_bus => {}
            Some(Signal::Changed { path }) => {
                if let Some(names) = self.by_path.get(path).cloned()
                    && let Ok((interface, properties, _)) =
                        body.deserialize::<(&str, Properties<'_>, Vec<&str>)>()
                {
                    for name in &names {
                        self.handle_properties(name, interface, &properties, table, now);
                    }
                }
            }
            Some(Signal::Reloaded) => self.schedule_all(table, now),
            Some(Signal::Announced { unit, is_removal }) => {
                self.handle_announcement(unit, is_removal, table, now)
            }
            Some(Signal::OwnerChanged { .. }) | None => {}
        }
    }

    fn handle_properties(
        &mut self,
        name: &Arc<str>,
        interface: &str,
        properties: &Properties<'_>,
        table: &mut Table,
        now: Instant,
    ) {
        let Some(entry) = table.units.get_mut(name) else {
            return;
        };
        let before = entry.unit.active.clone();
        entry.unit.apply(properties);
        entry.has_changed |= before != entry.unit.active;
        // Systemd sends the properties of the unit's type first and those of all units last: "clients may rely on this order"
        // (dbus-unit.c). The state is complete only then.
        if interface == "org.freedesktop.systemd1.Unit" {
            self.lazy_delay = LAZY_DELAY;
            if entry.is_known {
                entry.set_known(now);
            }
            let is_started = before != entry.unit.active && entry.unit.is_started();
            if is_started && entry.unit.control_group.is_none() && can_have_control_group(name) {
                self.request_details(name);
            }
            // Signals do not contain the load state.
            if &*entry.unit.load != "loaded" && &*entry.unit.active != "inactive" {
                self.schedule(name, now + URGENT_DELAY);
            }
        }
    }

    /// Requests the details of a unit after those that runs may wait for.
    pub(super) fn request_details(&mut self, name: &Arc<str>) {
        if !self.details.contains(name) {
            self.details.push_back(name.clone());
        }
    }

    /// Handles the loading or unloading of a unit. A running unit is always loaded and sends its own signals.
    fn handle_announcement(&mut self, unit: &str, is_removal: bool, table: &Table, now: Instant) {
        let Some((name, entry)) = table.units.get_key_value(unit) else {
            return;
        };
        let name = name.clone();
        if is_removal && entry.has_changed {
            // It may have been a transient unit.
            self.schedule(&name, now + URGENT_DELAY);
        } else if entry.is_known && &*entry.unit.active == "inactive" && !is_echo(entry, now) {
            self.schedule(&name, now + self.lazy_delay);
            self.lazy_delay = (self.lazy_delay * 2).min(self.resync_interval);
        }
    }
}

/// Whether units of this type can have processes (systemd.resource-control(5), "Description").
fn can_have_control_group(name: &str) -> bool {
    let types = ["service", "slice", "scope", "socket", "mount", "swap"];
    name.rsplit_once('.')
        .is_some_and(|(_, suffix)| types.contains(&suffix))
}

fn is_echo(entry: &Entry, now: Instant) -> bool {
    entry.requested_at.is_some_and(|at| now.duration_since(at) < ECHO)
}
