//! A source that responds late changes nothing that was shown before: it only adds.

use super::*;
use crate::discover::merge::Merged;

fn keys(merged: &Merged) -> Vec<String> {
    let list = merged.list();
    let lines = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- key: "));
    lines.map(|key| key.trim_matches('"').to_owned()).collect()
}

fn add(merged: &mut Merged, facts: &Facts) -> bool {
    merged.add(grouping::services(facts, &[]))
}

/// A machine of which every source is known.
fn machine() -> Facts {
    let mut socket = port(22, Some("ssh.socket"), None, Heard::NotAsked);
    socket.is_activated = true;
    let shop = port(8000, Some("shop.service"), Some("python3"), http(&[("/", 200)]));
    Facts {
        units: vec![
            unit("docker.service", "Docker"),
            unit("shop.service", "The shop"),
            unit("ssh.service", "SSH"),
            unit("cron.service", "Cron"),
        ],
        ports: vec![
            socket,
            port(
                53,
                Some("systemd-resolved.service"),
                Some("systemd-resolve"),
                Heard::NotAsked,
            ),
            shop,
            port(
                8080,
                Some("docker.service"),
                Some("docker-proxy"),
                http(&[("/", 200)]),
            ),
            port(9999, None, Some("mystery"), Heard::Silent),
        ],
        containers: vec![Container {
            name: "web".to_owned(),
            host: "unix:///run/x.sock".to_owned(),
            published: vec![(8080, 80)],
            ..Container::default()
        }],
        workers: vec![Worker {
            app: "jobs".to_owned(),
            unit: Some("cron.service".to_owned()),
        }],
        ..Facts::default()
    }
}

/// What is shown when these facts are followed by those of the whole machine: first the keys of the early look, then all entries.
fn followed_by_all(early: &Facts) -> (Vec<String>, String) {
    let mut merged = Merged::default();
    add(&mut merged, early);
    let shown = keys(&merged);
    assert!(
        merged.add_rest(grouping::services(&machine(), &[])),
        "the rest is new"
    );
    let mut all = Merged::default();
    add(&mut all, &machine());
    // The order of the checks of a service is that of their discovery.
    let sorted = |merged: &Merged| {
        let list = merged.list();
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (found, expected) = (sorted(&merged), sorted(&all));
    assert_eq!(found, expected, "early: {shown:?}");
    (shown, merged.list())
}

#[test]
fn containers_that_come_late_are_added() {
    let mut early = machine();
    early.containers.clear();
    early.pending.containers = true;
    let (shown, list) = followed_by_all(&early);
    assert_eq!(
        shown,
        ["shop", "cron", "docker", "ssh", "mystery"]
            .map(str::to_owned)
            .to_vec(),
        "{list}"
    );
}

/// The state is saved by key, so after a restart the keys must be the same.
#[test]
fn a_container_with_the_name_of_a_unit_has_the_same_key_when_it_comes_late() {
    let mut all = machine();
    all.units.push(unit("web.service", "Runs the container"));
    let mut early = all.clone();
    early.containers.clear();
    early.pending.containers = true;
    let mut late = Merged::default();
    add(&mut late, &early);
    late.add_rest(grouping::services(&all, &[]));
    let mut at_once = Merged::default();
    add(&mut at_once, &all);
    assert_eq!(late.list(), at_once.list());
}

#[test]
fn units_that_come_late_are_added() {
    let mut early = machine();
    early.units.clear();
    early.pending.units = true;
    let (shown, list) = followed_by_all(&early);
    for key in ["shop", "web", "mystery"] {
        assert!(shown.iter().any(|shown| shown == key), "{key}: {shown:?}\n{list}");
    }
    assert_eq!(shown.len(), 3, "{shown:?}");
}

/// The look ended after it had read the socket, and before its service.
#[test]
fn a_socket_whose_service_comes_late_is_no_service() {
    let mut all = machine();
    all.units.push(unit("ssh.socket", "SSH"));
    let mut early = all.clone();
    early.units.retain(|unit| unit.name == "ssh.socket");
    early.pending.units = true;
    let mut merged = Merged::default();
    add(&mut merged, &early);
    merged.add_rest(grouping::services(&all, &[]));
    let shown = keys(&merged);
    assert!(shown.contains(&"ssh".to_owned()), "{shown:?}");
    assert!(!shown.contains(&"ssh.socket".to_owned()), "{shown:?}");
}

#[test]
fn holders_that_come_late_are_added() {
    let mut early = machine();
    for port in &mut early.ports {
        port.program = None;
    }
    early.pending.holders = true;
    let (shown, list) = followed_by_all(&early);
    assert!(
        !shown.iter().any(|key| key.starts_with("port-")),
        "{shown:?}\n{list}"
    );
    assert!(shown.contains(&"shop".to_owned()), "{shown:?}\n{list}");
}

#[test]
fn connections_that_come_late_are_added() {
    let mut early = machine();
    for port in early
        .ports
        .iter_mut()
        .filter(|port| port.heard != Heard::NotAsked)
    {
        port.heard = Heard::NotYet;
    }
    let (shown, _) = followed_by_all(&early);
    assert_eq!(shown.len(), 6, "{shown:?}");
}
