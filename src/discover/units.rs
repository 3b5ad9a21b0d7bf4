//! Lists the running services and the listening sockets of systemd, over D-Bus. It only reads properties.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use zbus::{Connection, Message, Variant};

use super::facts::Unit;
use super::plumbing::EXPORTER;
use crate::config::systemd::{BusAddress, unit_name};
use crate::net::dbus::{self, UnitRow};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const BUS: &str = "org.freedesktop.DBus";

/// How many units are examined. A host with 1,000 services is rare.
const MAX_UNITS: usize = 2000;

/// How many calls are sent before their replies arrive. A bus allows 128 of a connection (dbus-daemon, system.conf).
const MAX_CALLS: usize = 32;

/// The longest text that is kept of a property, in characters.
const MAX_TEXT: usize = 512;

/// The units of the machine.
#[derive(Debug, Default)]
pub struct Units {
    /// Services that run and sockets that listen.
    pub units: Vec<Unit>,
    /// The names of all active services and sockets; `None` if they are not known.
    pub active: Option<BTreeSet<String>>,
    /// What could not be seen.
    pub gaps: BTreeSet<String>,
    /// Whether nothing is left to wait for.
    pub is_complete: bool,
}

/// Lists the units until the deadline. systemd replies to each call within a millisecond, but a busy machine takes longer.
pub async fn list(bus: &BusAddress, deadline: Instant) -> Units {
    let mut found = Units::default();
    let listing = async {
        let connection = dbus::connect(bus).await.map_err(|error| error.to_string())?;
        read(&connection, &mut found).await.map_err(|error| {
            format!(
                "listing the units of systemd over D-Bus: {error}; check that systemd runs on this machine"
            )
        })
    };
    let result = timeout_at(deadline, listing).await;
    found.is_complete = result.is_ok();
    let problem = match result {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(problem),
        Err(_) => Some(
            "listing them over D-Bus takes too long; check that systemd responds (systemctl list-units)"
                .to_owned(),
        ),
    };
    if let Some(problem) = problem {
        found
            .gaps
            .insert(format!("units of systemd are not known: {problem}"));
    }
    found.units.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

async fn read(connection: &Connection, found: &mut Units) -> zbus::Result<()> {
    // Without an owner, the bus would try to start systemd.
    let owner = connection.call_method(
        Some(BUS),
        "/org/freedesktop/DBus",
        Some(BUS),
        "GetNameOwner",
        &SYSTEMD,
    );
    owner.await?;
    let listing = connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "ListUnits", &());
    let reply = listing.await?;
    let body = reply.body();
    let rows: Vec<UnitRow<'_>> = body.deserialize()?;
    found.active = Some(BTreeSet::new());
    let mut failed = BTreeSet::new();
    let mut wanted = Vec::new();
    for (name, description, _, active, sub, _, path, ..) in rows {
        if unit_name(name).is_err() {
            continue;
        }
        let is_service = name.ends_with(".service");
        if is_service && (active == "failed" || sub == "auto-restart") {
            failed.insert(name.to_owned());
        }
        if matches!(active, "active" | "reloading") && (is_service || name.ends_with(".socket")) {
            found.active.get_or_insert_default().insert(name.to_owned());
        }
        if active == "active" && (is_service && sub == "running" || name.ends_with(".socket")) {
            wanted.push((name.to_owned(), shorten(description), path.to_string()));
        }
    }
    if !failed.is_empty() {
        let names: Vec<String> = failed.into_iter().collect();
        let gap = format!(
            "failed units are left out, because their checks would fail: {}",
            names.join(", ")
        );
        found.gaps.insert(gap);
    }
    if wanted.len() > MAX_UNITS {
        found.gaps.insert(format!(
            "more than {MAX_UNITS} units run; only the first were examined"
        ));
        wanted.truncate(MAX_UNITS);
    }
    let reads = stream::iter(wanted).map(|row| read_unit(connection.clone(), row));
    let mut reads = reads.buffer_unordered(MAX_CALLS);
    while let Some(unit) = reads.next().await {
        found.units.extend(unit);
    }
    Ok(())
}

/// Reads the properties of a unit with this name, description and object path. `None` if it ended since it was listed, and systemd does
/// not know it any more.
async fn read_unit(
    connection: Connection,
    (name, description, path): (String, String, String),
) -> Option<Unit> {
    let file_state = property(&connection, &path, UNIT, "UnitFileState").await.ok()?;
    let text = |reply: zbus::Result<Message>| reply.map(|reply| text(&reply)).unwrap_or_default();
    let mut unit = Unit {
        description,
        file_state: text(Ok(file_state)),
        file: text(property(&connection, &path, UNIT, "FragmentPath").await),
        ..Unit::default()
    };
    if name.ends_with(".service") {
        let command = property(&connection, &path, SERVICE, "ExecStart").await;
        let command = command.map(|reply| command_line(&reply)).unwrap_or_default();
        unit.is_exporter = is_exporter(&command);
        unit.program = command.into_iter().next().unwrap_or_default();
        unit.directory = text(property(&connection, &path, SERVICE, "WorkingDirectory").await);
        let triggers = property(&connection, &path, UNIT, "TriggeredBy").await;
        unit.triggers = triggers.map(|reply| texts(&reply)).unwrap_or_default();
    }
    unit.name = name;
    Some(unit)
}

async fn property(connection: &Connection, path: &str, interface: &str, name: &str) -> zbus::Result<Message> {
    let properties = "org.freedesktop.DBus.Properties";
    connection
        .call_method(Some(SYSTEMD), path, Some(properties), "Get", &(interface, name))
        .await
}

/// The value of a property that is a text.
fn text(reply: &Message) -> String {
    match reply.body().deserialize::<Variant<'_>>() {
        Ok(Variant::Str(text)) => shorten(text.as_str()),
        _ => String::new(),
    }
}

/// The value of a property that is a list of texts.
fn texts(reply: &Message) -> Vec<String> {
    let body = reply.body();
    let Ok(Variant::Array(values)) = body.deserialize::<Variant<'_>>() else {
        return Vec::new();
    };
    let text = |value: &Variant<'_>| match value {
        Variant::Str(text) => Some(shorten(text.as_str())),
        _ => None,
    };
    values.inner().iter().filter_map(text).collect()
}

/// The path of the first command of `ExecStart`, and its arguments after the first, which is its name.
fn command_line(reply: &Message) -> Vec<String> {
    let body = reply.body();
    let Ok(Variant::Array(commands)) = body.deserialize::<Variant<'_>>() else {
        return Vec::new();
    };
    let Some(Variant::Structure(command)) = commands.inner().first() else {
        return Vec::new();
    };
    let [Variant::Str(path), Variant::Array(arguments), ..] = command.fields() else {
        return Vec::new();
    };
    let arguments = arguments.inner().iter().skip(1).filter_map(|value| match value {
        Variant::Str(text) => Some(shorten(text.as_str())),
        _ => None,
    });
    std::iter::once(shorten(path.as_str())).chain(arguments).collect()
}

/// Whether a command starts an exporter. `heartbeat run` starts a job, which is a service like any other. The command comes first: flags of
/// the server in front of it are an error.
fn is_exporter(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    program.rsplit('/').next() == Some(EXPORTER) && arguments.first().is_none_or(|first| first != "heartbeat")
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_are_told_from_the_jobs_that_they_run() {
        for (command, expected) in [
            ("/usr/local/bin/upkeep_exporter", true),
            ("/opt/upkeep_exporter --config.file /etc/upkeep.yml", true),
            ("/opt/upkeep_exporter --config.file heartbeat", true),
            (
                "/usr/local/bin/upkeep_exporter heartbeat run -- /srv/import",
                false,
            ),
            ("/usr/local/bin/upkeep_exporter_helper", false),
            ("/usr/bin/node_exporter", false),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(is_exporter(&words), expected, "{command}");
        }
        assert!(!is_exporter(&[]));
    }
}
