//! Tests of the session with generated messages. tests/systemd.rs tests it with a real systemd.

use std::collections::HashMap;

use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use super::*;
use crate::check::unit_watch::table::{Entry, Link};
use crate::net::dbus::UnitRow;

const SYSTEMD: &str = ":1.0";

struct Talk {
    session: BusSession,
    table: Table,
    now: Instant,
}

impl Talk {
    fn new(units: &[&str]) -> Self {
        let now = Instant::now();
        let table = Table {
            units: units
                .iter()
                .map(|unit| ((*unit).into(), Entry::default()))
                .collect(),
            link: Link::Pending {
                since: now,
                has_grace: false,
                problem: None,
                is_announced: false,
                has_failed_run: false,
            },
            is_task_running: true,
            silent_owner: None,
        };
        let session = BusSession::new(&BusAddress::System, Duration::from_secs(100), now);
        Self { session, table, now }
    }

    /// The calls to send now.
    fn calls(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.session.next_call(&mut self.table, self.now).unwrap()).collect()
    }

    fn receive(&mut self, message: &Message) {
        self.session.receive(message, &mut self.table, self.now).unwrap();
    }

    /// Opens the session. Returns the calls that follow once systemd's name is known.
    fn open(&mut self) -> Vec<Message> {
        for call in self.calls() {
            match name(&call).as_str() {
                "GetNameOwner" => self.receive(&reply(&call).build(&SYSTEMD).unwrap()),
                _ => self.receive(&reply(&call).build(&()).unwrap()),
            }
        }
        self.calls()
    }

    fn is_synced(&self) -> bool {
        matches!(self.table.link, Link::Synced)
    }
}

fn name(call: &Message) -> String {
    call.header().member().unwrap().to_string()
}

fn names(calls: &[Message]) -> Vec<String> {
    calls.iter().map(name).collect()
}

fn reply(call: &Message) -> zbus::message::Builder<'static> {
    Message::method_return(&call.header())
}

fn refusal(call: &Message, error: &str) -> Message {
    Message::error(&call.header(), error.to_owned())
        .build(&"because")
        .unwrap()
}

fn row<'a>(unit: &'a str, load: &'a str, active: &'a str, sub: &'a str) -> UnitRow<'a> {
    let path = ObjectPath::try_from(format!("/unit/{}", unit.trim_end_matches(".service"))).unwrap();
    (unit, unit, load, active, sub, "", path.clone(), 0, "", path)
}

fn changed(sender: &'static str, active: &str) -> Message {
    let properties = HashMap::from([("ActiveState", Variant::from(active))]);
    Message::signal("/unit/x", "org.freedesktop.DBus.Properties", "PropertiesChanged")
        .sender(sender)
        .build(&("org.freedesktop.systemd1.Unit", properties, Vec::<&str>::new()))
        .unwrap()
}

#[test]
fn match_rules_come_first_and_the_table_is_synced_after_all_replies() {
    let mut talk = Talk::new(&["x.service"]);
    let opening = talk.calls();
    assert_eq!(
        names(&opening),
        ["AddMatch", "AddMatch", "AddMatch", "GetNameOwner"]
    );
    let mut talk = Talk::new(&["x.service"]);
    let calls = talk.open();
    assert_eq!(names(&calls), ["Subscribe", "ListUnitsByNames"]);
    talk.receive(&reply(&calls[0]).build(&()).unwrap());
    let rows = vec![row("x.service", "loaded", "active", "running")];
    talk.receive(&reply(&calls[1]).build(&rows).unwrap());
    assert!(talk.is_synced(), "the list contains every state");
    let entry = &talk.table.units["x.service"];
    let until = entry.details_until(talk.now).expect("runs wait for details");
    assert!(until <= talk.now + Duration::from_secs(1));
    assert_eq!(entry.details_until(until), None, "only for a limited time");
    let details = talk.calls();
    assert_eq!(names(&details), ["GetAll"]);
    let properties = HashMap::from([("NRestarts", Variant::from(3_u32))]);
    talk.receive(&reply(&details[0]).build(&properties).unwrap());
    assert_eq!(talk.table.units["x.service"].details_until(talk.now), None);
    let unit = &talk.table.units["x.service"].unit;
    assert_eq!(unit.service.as_ref().map(|service| service.restarts), Some(3));
    assert!(talk.calls().is_empty());

    talk.receive(&changed(":1.66", "failed"));
    assert_eq!(
        &*talk.table.units["x.service"].unit.active, "active",
        "a signal of another client"
    );
    talk.receive(&changed(SYSTEMD, "failed"));
    assert_eq!(&*talk.table.units["x.service"].unit.active, "failed");
    assert!(talk.calls().is_empty(), "a signal needs no further call");
}

/// Signals do not contain the control group.
#[test]
fn the_details_of_a_unit_that_starts_are_requested() {
    let mut talk = Talk::new(&["x.service"]);
    let calls = talk.open();
    let rows = vec![row("x.service", "loaded", "inactive", "dead")];
    talk.receive(&reply(&calls[1]).build(&rows).unwrap());
    assert!(talk.calls().is_empty());
    talk.receive(&changed(SYSTEMD, "active"));
    let details = talk.calls();
    assert_eq!(names(&details), ["GetAll"]);
    let properties = HashMap::from([("ControlGroup", Variant::from("/system.slice/x.service"))]);
    talk.receive(&reply(&details[0]).build(&properties).unwrap());
    for state in ["inactive", "activating", "active"] {
        talk.receive(&changed(SYSTEMD, state));
        assert!(talk.calls().is_empty(), "{state}: the group is known");
    }
    // A check does not find the group.
    talk.table.units.get_mut("x.service").unwrap().is_refresh_wanted = true;
    talk.session.schedule_wanted(&mut talk.table);
    assert_eq!(names(&talk.calls()), ["GetAll"]);
}

#[test]
fn one_faulty_unit_does_not_affect_the_others() {
    let mut talk = Talk::new(&["x.service", "y.service"]);
    let calls = talk.open();
    talk.receive(&refusal(&calls[1], "org.freedesktop.systemd1.LoadFailed"));
    let singles = talk.calls();
    assert_eq!(names(&singles), ["ListUnitsByNames", "ListUnitsByNames"]);
    talk.receive(&refusal(&singles[0], "org.freedesktop.systemd1.LoadFailed"));
    let requested: Vec<String> = singles[1].body().deserialize().unwrap();
    let rows = vec![row(&requested[0], "loaded", "inactive", "dead")];
    talk.receive(&reply(&singles[1]).build(&rows).unwrap());
    assert!(talk.is_synced());
    let mut loads: Vec<&str> = talk.table.units.values().map(|entry| &*entry.unit.load).collect();
    loads.sort_unstable();
    assert_eq!(loads, ["error", "loaded"]);
}

#[test]
fn announcements_are_followed_up_at_growing_intervals() {
    let mut talk = Talk::new(&["x.service"]);
    let calls = talk.open();
    let rows = vec![row("x.service", "not-found", "inactive", "dead")];
    talk.receive(&reply(&calls[1]).build(&rows).unwrap());
    assert!(talk.is_synced());
    let announcement = Message::signal(
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "UnitNew",
    )
    .sender(SYSTEMD)
    .build(&("x.service", ObjectPath::try_from("/unit/x").unwrap()))
    .unwrap();
    talk.receive(&announcement);
    assert!(talk.session.due.is_none(), "an echo of our own request");
    let mut waits = Vec::new();
    for _ in 0..9 {
        talk.now += Duration::from_secs(5);
        talk.receive(&announcement);
        let due = talk.session.due.expect("a request is scheduled");
        waits.push(due.duration_since(talk.now).as_secs());
        talk.now = due;
        let calls = talk.calls();
        assert_eq!(names(&calls), ["ListUnitsByNames"]);
        talk.receive(&reply(&calls[0]).build(&rows).unwrap());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
}

#[test]
fn one_call_lists_thousands_of_units() {
    let units: Vec<String> = (0..2000).map(|number| format!("u{number}.service")).collect();
    let mut talk = Talk::new(&units.iter().map(String::as_str).collect::<Vec<_>>());
    let calls = talk.open();
    assert_eq!(names(&calls), ["Subscribe", "ListUnitsByNames"]);
    let requested: Vec<String> = calls[1].body().deserialize().unwrap();
    assert_eq!(requested.len(), 2000);
    let state = |name: &str| {
        if name == "u7.service" {
            ("failed", "failed")
        } else {
            ("active", "running")
        }
    };
    let rows = |requested: &[String]| -> Vec<(String, &'static str, &'static str)> {
        let rows = requested.iter();
        rows.map(|name| (name.clone(), state(name).0, state(name).1))
            .collect()
    };
    let answer = |talk: &mut Talk, call: &Message| {
        let requested: Vec<String> = call.body().deserialize().unwrap();
        let rows = rows(&requested);
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, active, sub)| row(name, "loaded", active, sub))
            .collect();
        talk.receive(&reply(call).build(&rows).unwrap());
    };
    answer(&mut talk, &calls[1]);
    assert!(talk.is_synced());
    let mut details = talk.calls();
    assert_eq!(details.len(), DETAILS_WINDOW);
    let paths: Vec<String> = details
        .iter()
        .map(|call| call.header().path().unwrap().to_string())
        .collect();
    assert_eq!(paths[0], "/unit/u7", "units that are not up come first");
    let mut count = 0;
    while let Some(call) = details.pop() {
        let is_last_of_window = details.is_empty();
        talk.receive(&reply(&call).build(&HashMap::<&str, Variant<'_>>::new()).unwrap());
        count += 1;
        if is_last_of_window {
            details = talk.calls();
        }
    }
    assert_eq!(count, 2000);

    // Every restart of systemd causes one call. The details wait until the restarts end.
    for owner in [":1.7", ":1.8", ":1.9"] {
        talk.receive(&owner_changed(""));
        talk.receive(&owner_changed(owner));
        assert!(!talk.is_synced());
        let calls = talk.calls();
        assert_eq!(names(&calls), ["Subscribe", "ListUnitsByNames"]);
        answer(&mut talk, &calls[1]);
        assert!(talk.is_synced());
        assert!(talk.calls().is_empty());
        assert!(
            talk.table
                .units
                .values()
                .all(|entry| entry.details_until(talk.now).is_none())
        );
    }
    assert_eq!(talk.session.deadline(&talk.table), talk.now + SETTLING);
    talk.now += SETTLING;
    assert_eq!(talk.calls().len(), DETAILS_WINDOW);
}

#[test]
fn a_systemd_that_does_not_respond_is_a_problem_until_another_one_appears() {
    let mut talk = Talk::new(&["x.service"]);
    talk.open();
    let problem = |talk: &Talk| match &talk.table.link {
        Link::Pending { problem, .. } => problem.is_some(),
        Link::Synced => false,
    };
    assert!(!problem(&talk), "it is being queried");
    talk.now += 2 * CALL_TIMEOUT;
    let lost = talk.session.tick(&mut talk.table, talk.now).unwrap_err();
    talk.table.set_pending(talk.now, Some(lost));
    // The same one, on a new connection.
    talk.session = BusSession::new(&BusAddress::System, Duration::from_secs(100), talk.now);
    talk.open();
    assert!(problem(&talk));
    talk.receive(&owner_changed(""));
    assert!(problem(&talk));
    talk.receive(&owner_changed(":1.99"));
    assert!(!problem(&talk), "a new systemd gets its grace time");
}

fn owner_changed(owner: &'static str) -> Message {
    Message::signal(
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "NameOwnerChanged",
    )
    .sender("org.freedesktop.DBus")
    .build(&("org.freedesktop.systemd1", "", owner))
    .unwrap()
}

#[test]
fn timeouts_and_denials_end_the_session() {
    let mut talk = Talk::new(&["x.service"]);
    let calls = talk.open();
    talk.now += CALL_TIMEOUT;
    let problem = talk.session.tick(&mut talk.table, talk.now).unwrap_err();
    assert_eq!(problem.reason, Reason::Unreachable);
    let denied = refusal(&calls[1], "org.freedesktop.DBus.Error.AccessDenied");
    let problem = talk
        .session
        .receive(&denied, &mut talk.table, talk.now)
        .unwrap_err();
    assert_eq!(problem.reason, Reason::Permission);
}

#[test]
fn the_link_is_pending_while_systemd_is_away() {
    let mut talk = Talk::new(&[]);
    talk.open();
    talk.receive(&owner_changed(""));
    assert!(!talk.is_synced());
    assert!(talk.calls().is_empty());
    assert_eq!(
        talk.table.notify_at(),
        Some(talk.now + super::super::table::GRACE)
    );
    talk.receive(&owner_changed(":1.99"));
    assert_eq!(names(&talk.calls()), ["Subscribe"]);
}
