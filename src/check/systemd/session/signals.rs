//! What signals mean.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zbus::Message;

use super::super::calls::Signal;
use super::super::table::{Entry, Table};
use super::super::unit::Properties;
use super::{LAZY, Session, URGENT};

/// Asking about a unit that nothing refers to loads and unloads it, which is announced as if somebody else did it.
/// Announcements this soon after a question are taken for its echo.
const ECHO: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn signal(&mut self, message: &Message, table: &mut Table, now: Instant) {
        let header = message.header();
        let sender = header.sender().map(|name| name.as_str());
        // Anybody on a bus may send anybody a signal, but only the bus itself fills in the sender.
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
                        self.changed(name, interface, &properties, table, now);
                    }
                }
            }
            Some(Signal::Reloaded) => self.want_all(table, now),
            Some(Signal::Announced { unit, is_removal }) => self.announced(unit, is_removal, table, now),
            Some(Signal::OwnerChanged { .. }) | None => {}
        }
    }

    fn changed(
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
        // systemd sends what the unit's type has first and what all units have last, "clients may rely on this order"
        // (its dbus-unit.c): only then is the picture whole.
        if interface == "org.freedesktop.systemd1.Unit" {
            self.lazy = LAZY;
            if entry.is_known {
                entry.finish(now);
            }
            // How a unit is loaded is not among what signals carry.
            if &*entry.unit.load != "loaded" && &*entry.unit.active != "inactive" {
                self.want(name, now + URGENT);
            }
        }
    }

    /// Somebody loaded the unit, or it was unloaded. A unit that runs is loaded, and tells by itself what happens to it.
    fn announced(&mut self, unit: &str, is_removal: bool, table: &Table, now: Instant) {
        let Some((name, entry)) = table.units.get_key_value(unit) else {
            return;
        };
        let name = name.clone();
        if is_removal && entry.has_changed {
            // Its file may have been a transient one.
            self.want(&name, now + URGENT);
        } else if entry.is_known && &*entry.unit.active == "inactive" && !is_echo(entry, now) {
            self.want(&name, now + self.lazy);
            self.lazy = (self.lazy * 2).min(self.resync_interval);
        }
    }
}

fn is_echo(entry: &Entry, now: Instant) -> bool {
    entry.asked.is_some_and(|asked| now.duration_since(asked) < ECHO)
}
