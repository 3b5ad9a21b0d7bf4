//! What the replies to our calls mean.

use std::sync::Arc;

use tokio::time::Instant;
use zbus::Message;

use super::super::calls::Call;
use super::super::table::Table;
use super::super::unit::{Properties, Unit};
use super::{LAZY, Session, URGENT, note_asked};
use crate::model::{Problem, Reason};

/// A `ListUnitsByNames` row: name, description, load, active, sub, following, path, job, job type, job path.
pub(super) type Row<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    zbus::ObjectPath<'a>,
    u32,
    &'a str,
    zbus::ObjectPath<'a>,
);

impl Session {
    pub(super) fn answered(
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
                let rows: Vec<Row<'_>> = body.deserialize()?;
                self.rows(&names, &rows, table, now);
            }
            Call::Details(name, _) => {
                let properties: Properties<'_> = body.deserialize()?;
                if let Some(entry) = table.units.get_mut(&name) {
                    entry.unit.apply(&properties);
                    entry.finish_details(now);
                }
            }
        }
        Ok(())
    }

    fn rows(&mut self, names: &[Arc<str>], rows: &[Row<'_>], table: &mut Table, now: Instant) {
        // An alias is answered under the name of what it stands for, so the order says which row is whose; systemd leaves
        // out names that it thinks invalid.
        let is_complete = names.len() == rows.len();
        let mut has_news = false;
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
            has_news |= !was_known || !is_same;
            if *entry.unit.active != *active {
                // How it ended belongs to another state.
                entry.unit.service = None;
            }
            if load == "not-found" && active == "inactive" {
                entry.unit = Unit::default();
            }
            entry.unit.apply_row(load, active, sub);
            entry.path = row.map(|row| row.6.as_str().into());
            // A unit that is inactive has little to tell, and asking may mean loading it once more: 5 ms of systemd's time.
            if active == "inactive" && matches!(load, "loaded" | "masked" | "not-found") {
                entry.has_details = true;
            } else {
                entry.has_details &= is_same;
                match (entry.has_details, active) {
                    // Each answer takes systemd about a millisecond; first those that say why a unit is not up.
                    (false, "active" | "reloading" | "refreshing") => self.details.push_back(name.clone()),
                    (false, _) => self.details.push_front(name.clone()),
                    (true, _) if !was_known => self.later.push_back(name.clone()),
                    (true, _) => {}
                }
            }
            entry.finish(now);
        }
        self.has_progress = true;
        if has_news {
            self.lazy = LAZY;
        }
        self.by_path.clear();
        for (name, entry) in &table.units {
            if let Some(path) = &entry.path {
                self.by_path.entry(path.clone()).or_default().push(name.clone());
            }
        }
    }

    pub(super) fn refused(
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
            // systemd is leaving the bus, and will be announced when it is back.
            Call::List(names) if is_gone => {
                for name in &names {
                    self.want(name, now + URGENT * 10);
                }
            }
            Call::Details(name, _) if is_gone => self.want(&name, now + URGENT * 10),
            Call::List(names) if names.len() > 1 => {
                note_asked(table, &names, now);
                // One faulty unit spoils the whole list: halves find it in few calls.
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
                        entry.finish(now);
                    }
                }
                self.has_progress = true;
            }
            Call::Details(name, _) => {
                if let Some(entry) = table.units.get_mut(&name) {
                    entry.finish_details(now);
                }
            }
            Call::AddMatch(_) | Call::Owner | Call::Subscribe => {
                return Err(self.lost(&format!("{} was refused: {error}: {text}", call.name())));
            }
        }
        Ok(())
    }
}
