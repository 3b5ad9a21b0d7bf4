//! What `depends_on` must hold to: the services exist, and none needs itself in the end.

use std::collections::{BTreeMap, HashSet};

use super::place::Place;
use super::services::MAX_FINDINGS;
use super::suggest;

/// How many findings may be there for a slip of the pen still to be looked up among all keys.
const SUGGEST_UP_TO: usize = 100;

/// How many services of a cycle are named.
const MAX_NAMED: usize = 10;

/// A service as its dependencies see it.
#[derive(Debug)]
pub struct Named {
    /// Its key.
    pub key: String,
    /// Its position in the list of services.
    pub index: usize,
    /// The keys of the services that it needs.
    pub depends_on: Vec<String>,
}

/// Reports what is wrong between the services of the list at `place`.
pub fn check(services: &[Named], place: &Place<'_>) {
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, service) in services.iter().enumerate() {
        positions.entry(&service.key).or_insert(position);
    }
    let mut edges = Vec::with_capacity(services.len());
    for service in services {
        edges.push(targets(service, &positions, place));
    }
    report_cycles(services, &edges, place);
}

/// The positions of the services that `service` needs, each with its index in `depends_on`.
fn targets(service: &Named, positions: &BTreeMap<&str, usize>, place: &Place<'_>) -> Vec<(usize, usize)> {
    let place = place.index(service.index).field("depends_on");
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    for (index, key) in service.depends_on.iter().enumerate() {
        if place.found() >= MAX_FINDINGS {
            break;
        }
        if !seen.insert(key) {
            place
                .index(index)
                .error("names a service a second time: name each once");
            continue;
        }
        match positions.get(key.as_str()) {
            Some(position) => targets.push((*position, index)),
            None => {
                let near = (place.found() < SUGGEST_UP_TO)
                    .then(|| suggest::nearest(key, positions.keys().copied()))
                    .flatten();
                let advice = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "name the key of a service of this file".to_owned(),
                };
                place
                    .index(index)
                    .error(format_args!("there is no such service: {advice}"));
            }
        }
    }
    targets
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Not,
    /// On the way that is being followed, at this position.
    Under(usize),
    Done,
}

/// A depth-first search, without recursion: chains may be as long as the file.
fn report_cycles(services: &[Named], edges: &[Vec<(usize, usize)>], place: &Place<'_>) {
    let mut visits = vec![Visit::Not; services.len()];
    for start in 0..services.len() {
        if visits[start] != Visit::Not || place.found() >= MAX_FINDINGS {
            continue;
        }
        visits[start] = Visit::Under(0);
        let mut way = vec![(start, 0)];
        while let Some((position, next)) = way.last_mut() {
            let from = *position;
            let Some((to, index)) = edges[from].get(*next).copied() else {
                visits[from] = Visit::Done;
                way.pop();
                continue;
            };
            *next += 1;
            match visits[to] {
                Visit::Done => {}
                Visit::Not => {
                    visits[to] = Visit::Under(way.len());
                    way.push((to, 0));
                }
                Visit::Under(begin) => {
                    let cycle = way[begin..]
                        .iter()
                        .map(|(position, _)| services[*position].key.as_str());
                    let place = place.index(services[from].index).field("depends_on").index(index);
                    place.error(cycle_message(cycle.take(MAX_NAMED + 1).collect()));
                }
            }
        }
    }
}

fn cycle_message(mut cycle: Vec<&str>) -> String {
    let first = cycle.first().copied().unwrap_or_default();
    if cycle.len() > MAX_NAMED {
        cycle.truncate(MAX_NAMED);
        cycle.push("...");
    }
    cycle.push(first);
    format!(
        "the services need one another in a circle ({}): remove one of these",
        cycle.join(" -> ")
    )
}
