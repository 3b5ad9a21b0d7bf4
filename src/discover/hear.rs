//! Connects to the ports of the machine, each once, to recognize their servers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::facts::{Container, Facts, Heard, Port};
use super::handshake::{Handshake, Talker, choose};
use super::memory::{Heards, owner};
use super::plumbing::{is_forwarded, is_named_as_plumbing, is_of_exporter, is_plumbing, is_undecided};
use super::port_checks;

/// How many connections are open at once.
const MAX_CONNECTIONS: usize = 64;

/// Connects to each port that is not in `known`. The result has every port that may be connected to.
pub async fn hear(
    facts: &Facts,
    allowed: &[IpAddr],
    known: &Heards,
    deadline: Instant,
) -> BTreeMap<u16, Heard> {
    let mut found = BTreeMap::new();
    let mut wanted: Vec<(u16, SocketAddr, Handshake)> = Vec::new();
    for port in &facts.ports {
        if let Some(heard) = known.get(&owner(port)) {
            found.insert(port.number, heard.clone());
            continue;
        }
        let has_no_check = port_checks::is_ephemeral(port.number) || is_forwarded(port);
        let is_of_job = facts.job_ports.contains(&port.number);
        let is_left_alone = port.is_activated
            || has_no_check
            || is_of_job
            || is_of_exporter(facts, port)
            || is_of_the_system(facts, port);
        let address = port_checks::address(port, allowed).filter(|_| !is_left_alone);
        let Some(address) = address else { continue };
        let handshake = handshake_of(port, &facts.containers);
        if matches!(handshake, Handshake::Never) {
            continue;
        }
        found.insert(port.number, Heard::NotYet);
        // The container of a port decides what is sent.
        if !is_undecided(facts, port) {
            wanted.push((port.number, address, handshake));
        }
    }
    let talker = Talker::default();
    let asks = stream::iter(wanted).map(|(number, address, handshake)| {
        let talker = talker.clone();
        async move { (number, talker.ask(address, handshake).await) }
    });
    let mut asks = asks.buffer_unordered(MAX_CONNECTIONS);
    while let Ok(Some((number, heard))) = timeout_at(deadline, asks.next()).await {
        found.insert(number, heard);
    }
    found
}

fn is_of_the_system(facts: &Facts, port: &Port) -> bool {
    let Some(name) = &port.unit else { return false };
    let unit = facts.units.iter().find(|unit| unit.name == *name);
    match unit {
        Some(unit) => is_plumbing(unit, true),
        None => is_named_as_plumbing(name),
    }
}

fn handshake_of(port: &Port, containers: &[Container]) -> Handshake {
    let published = |container: &Container| {
        let mut ports = container.published.iter();
        ports
            .find(|(public, _)| *public == port.number)
            .map(|(_, private)| *private)
    };
    let container = containers
        .iter()
        .find_map(|container| Some((container, published(container)?)));
    // The proxy of an engine holds the port of a container, so its name says nothing.
    if let Some((container, private)) = container {
        return choose(private, &[&container.image, &container.name]);
    }
    let mut names: Vec<&str> = Vec::new();
    if let Some(program) = &port.program {
        names.push(&program.name);
        names.extend(program.script.as_deref());
    }
    names.extend(port.unit.as_deref());
    choose(port.number, &names)
}
