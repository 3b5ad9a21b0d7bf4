//! Handles the replies to calls.

use std::sync::Arc;

use tokio::time::Instant;
use zbus::Message;

use super::super::calls::Call;
use super::super::table::Table;
use super::super::unit::{Properties, Unit};
use super::{BusSession, LAZY_DELAY, URGENT_DELAY, mark_requested};
use crate::model::{Problem, Reason};
use crate::net::dbus::UnitRow;

impl BusSession {
    pub(super) fn handle_reply(
        &mut self,
        call: Call,
        message: &Message,
        table: &mut Table,
        now: Instant,
    ) -> zbus::Result<()> {
        let body = message.body();
        match call {
            Call::AddMatch(_) | Call::Subscribe => {}
            Call::Owner => self.set_owner(body.deserialize()?, table, now),
            Call::List(names) => {
                let rows: Vec<UnitRow<'_>> = body.deserialize()?;
                self.handle_rows(&names, &rows, table, now);
            }
            Call::Details(name, _) => {
                let properties: Properties<'_> = body.deserialize()?;
                if let Some(entry) = table.units.get_mut(&name) {
                    entry.unit.apply(&properties);
                    entry.set_details_known(now);
                }
            }
        }
        Ok(())
    }

    fn handle_rows(&mut self, names: &[Arc<str>], rows: &[UnitRow<'_>], table: &mut Table, now: Instant) {
        // The row of an alias contains the name of its unit, so rows are assigned by their order. Systemd leaves out names that
        // it considers invalid.
        let is_complete = names.len() == rows.len();
        let mut has_changes = false;
        for (index, name) in names.iter().enumerate() {
            let row = if is_complete {
                rows.get(index)
            } else {
                rows.iter().find(|row| *row.0 == **name)
            };
            let Some(entry) = table.units.get_mut(name) else {
                continue;
            };
            let (load, active, sub) =
                row.map_or(("not-found", "inactive", "dead"), |row| (row.2, row.3, row.4));
            let (was_known, is_same) = (entry.is_known, entry.unit.is_in(load, active, sub));
            has_changes |= !was_known || !is_same;
            if *entry.unit.active != *active {
                // The service's result belongs to the previous state.
                entry.unit.service = None;
            }
            if load == "not-found" && active == "inactive" {
                entry.unit = Unit::default();
            }
            entry.unit.apply_row(load, active, sub);
            entry.path = row.map(|row| row.6.as_str().into());
            // An inactive unit has hardly any details, and the request may make systemd load it again, which takes 5 ms.
            if active == "inactive" && matches!(load, "loaded" | "masked" | "not-found") {
                entry.has_details = true;
            } else {
                entry.has_details &= is_same;
                match (entry.has_details, active) {
                    // A request takes systemd about a millisecond. Units that are not up come first.
                    (false, "active" | "reloading" | "refreshing") => self.details.push_back(name.clone()),
                    (false, _) => self.details.push_front(name.clone()),
                    (true, _) if !was_known => self.deferred.push_back(name.clone()),
                    (true, _) => {}
                }
            }
            entry.set_known(now);
        }
        self.has_progress = true;
        if has_changes {
            self.lazy_delay = LAZY_DELAY;
        }
        self.by_path.clear();
        for (name, entry) in &table.units {
            if let Some(path) = &entry.path {
                self.by_path.entry(path.clone()).or_default().push(name.clone());
            }
        }
    }

    pub(super) fn handle_error(
        &mut self,
        call: Call,
        message: &Message,
        table: &mut Table,
        now: Instant,
    ) -> Result<(), Problem> {
        let header = message.header();
        let error = header.error_name().map_or("", |name| name.as_str());
        let body = message.body();
        let text: &str = body.deserialize().unwrap_or("");
        let is_gone = [".NoReply", ".NameHasNoOwner", ".ServiceUnknown", ".Disconnected"]
            .iter()
            .any(|end| error.ends_with(end));
        match call {
            Call::Owner if is_gone => self.set_owner("", table, now),
            Call::Subscribe if error.ends_with(".AlreadySubscribed") => {}
            _ if error.ends_with(".AccessDenied") => {
                return Err(Problem::new(
                    Reason::Permission,
                    format!(
                        "systemd on D-Bus at {} refused {}: {text}; allow the exporter's user to call \
                         org.freedesktop.systemd1.Manager",
                        self.bus,
                        call.name()
                    ),
                ));
            }
            // Systemd is leaving the bus. A signal announces its return.
            Call::List(names) if is_gone => {
                for name in &names {
                    self.schedule(name, now + URGENT_DELAY * 10);
                }
            }
            Call::Details(name, _) if is_gone => self.schedule(&name, now + URGENT_DELAY * 10),
            Call::List(names) if names.len() > 1 => {
                mark_requested(table, &names, now);
                // One faulty unit fails the whole list. Halving the list finds it with few calls.
                let (one, other) = names.split_at(names.len() / 2);
                self.calls
                    .extend([one, other].map(|half| Call::List(half.to_vec())));
            }
            Call::List(names) => {
                for name in &names {
                    if let Some(entry) = table.units.get_mut(name) {
                        entry.unit.apply_row("error", "inactive", "dead");
                        entry.unit.set_load_error(text);
                        entry.has_details = true;
                        entry.set_known(now);
                    }
                }
                self.has_progress = true;
            }
            Call::Details(name, _) => {
                if let Some(entry) = table.units.get_mut(&name) {
                    entry.set_details_known(now);
                }
            }
            Call::AddMatch(_) | Call::Owner | Call::Subscribe => {
                return Err(self.lost(&format!("{} failed: {error}: {text}", call.name())));
            }
        }
        Ok(())
    }
}
