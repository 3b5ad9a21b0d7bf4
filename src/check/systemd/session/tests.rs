//! The conversation, held with messages made here. What a real systemd says is in tests/systemd.rs.

use std::collections::HashMap;

use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use super::*;
use crate::check::systemd::table::{Entry, Link};

const SYSTEMD: &str = ":1.0";

struct Talk {
    session: Session,
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
                is_told: false,
                is_felt: false,
            },
            is_task_running: true,
            silent_owner: None,
        };
        let session = Session::new(&BusAddress::System, Duration::from_secs(100), now);
        Self { session, table, now }
    }

    /// The calls that are to be sent now.
    fn calls(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.session.next_call(&mut self.table, self.now).unwrap()).collect()
    }

    fn receive(&mut self, message: &Message) {
        self.session.receive(message, &mut self.table, self.now).unwrap();
    }

    /// Opens the conversation, up to the calls made once systemd's name is known.
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

fn row<'a>(unit: &'a str, load: &'a str, active: &'a str, sub: &'a str) -> replies::Row<'a> {
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
fn rules_come_first_and_the_table_is_true_when_all_is_answered() {
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
    assert!(talk.is_synced(), "the list says every state");
    let entry = &talk.table.units["x.service"];
    let until = entry.details_until(talk.now).expect("details are waited for");
    assert!(until <= talk.now + Duration::from_secs(1));
    assert_eq!(entry.details_until(until), None, "but not for long");
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
        "a signal of somebody else"
    );
    talk.receive(&changed(SYSTEMD, "failed"));
    assert_eq!(&*talk.table.units["x.service"].unit.active, "failed");
    assert!(talk.calls().is_empty(), "a signal says it all");
}

#[test]
fn one_faulty_unit_does_not_spoil_the_others() {
    let mut talk = Talk::new(&["x.service", "y.service"]);
    let calls = talk.open();
    talk.receive(&refusal(&calls[1], "org.freedesktop.systemd1.LoadFailed"));
    let singles = talk.calls();
    assert_eq!(names(&singles), ["ListUnitsByNames", "ListUnitsByNames"]);
    talk.receive(&refusal(&singles[0], "org.freedesktop.systemd1.LoadFailed"));
    let asked: Vec<String> = singles[1].body().deserialize().unwrap();
    let rows = vec![row(&asked[0], "loaded", "inactive", "dead")];
    talk.receive(&reply(&singles[1]).build(&rows).unwrap());
    assert!(talk.is_synced());
    let mut loads: Vec<&str> = talk.table.units.values().map(|entry| &*entry.unit.load).collect();
    loads.sort_unstable();
    assert_eq!(loads, ["error", "loaded"]);
}

#[test]
fn announcements_lead_to_ever_rarer_questions() {
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
    assert!(talk.session.due.is_none(), "an echo of our own question");
    let mut waits = Vec::new();
    for _ in 0..9 {
        talk.now += Duration::from_secs(5);
        talk.receive(&announcement);
        let due = talk.session.due.expect("a question is planned");
        waits.push(due.duration_since(talk.now).as_secs());
        talk.now = due;
        let calls = talk.calls();
        assert_eq!(names(&calls), ["ListUnitsByNames"]);
        talk.receive(&reply(&calls[0]).build(&rows).unwrap());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
}

#[test]
fn thousands_of_units_are_known_after_one_call() {
    let units: Vec<String> = (0..2000).map(|number| format!("u{number}.service")).collect();
    let mut talk = Talk::new(&units.iter().map(String::as_str).collect::<Vec<_>>());
    let calls = talk.open();
    assert_eq!(names(&calls), ["Subscribe", "ListUnitsByNames"]);
    let asked: Vec<String> = calls[1].body().deserialize().unwrap();
    assert_eq!(asked.len(), 2000);
    let state = |name: &str| {
        if name == "u7.service" {
            ("failed", "failed")
        } else {
            ("active", "running")
        }
    };
    let rows = |asked: &[String]| -> Vec<(String, &'static str, &'static str)> {
        let rows = asked.iter();
        rows.map(|name| (name.clone(), state(name).0, state(name).1))
            .collect()
    };
    let answer = |talk: &mut Talk, call: &Message| {
        let asked: Vec<String> = call.body().deserialize().unwrap();
        let rows = rows(&asked);
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
    assert_eq!(paths[0], "/unit/u7", "first the one that says why it is not up");
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

    // systemd is restarted again and again: each time one call, and the details wait until it is calm.
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
fn a_systemd_that_does_not_answer_is_told_until_another_one_comes() {
    let mut talk = Talk::new(&["x.service"]);
    talk.open();
    let problem = |talk: &Talk| match &talk.table.link {
        Link::Pending { problem, .. } => problem.is_some(),
        Link::Synced => false,
    };
    assert!(!problem(&talk), "it is being asked");
    talk.now += 2 * CALL_TIMEOUT;
    let lost = talk.session.tick(&mut talk.table, talk.now).unwrap_err();
    talk.table.set_pending(talk.now, Some(lost));
    // The same one, on a new connection.
    talk.session = Session::new(&BusAddress::System, Duration::from_secs(100), talk.now);
    talk.open();
    assert!(problem(&talk));
    talk.receive(&owner_changed(""));
    assert!(problem(&talk));
    talk.receive(&owner_changed(":1.99"));
    assert!(!problem(&talk), "one that has just come may take its time");
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
fn silence_and_refusals_end_the_conversation() {
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
fn a_systemd_that_leaves_is_pending_until_it_is_back() {
    let mut talk = Talk::new(&[]);
    talk.open();
    talk.receive(&owner_changed(""));
    assert!(!talk.is_synced());
    assert!(talk.calls().is_empty());
    assert_eq!(talk.table.tell_at(), Some(talk.now + super::super::table::GRACE));
    talk.receive(&owner_changed(":1.99"));
    assert_eq!(names(&talk.calls()), ["Subscribe"]);
}
