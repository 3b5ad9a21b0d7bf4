//! Validates `depends_on`: the services exist, and there are no cycles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::duration::DurationText;
use super::place::{MAX_FINDINGS, Place};
use super::settings::Service;
use super::suggest;

/// After this many findings, no similar keys are suggested, because each search compares all keys.
const SUGGEST_UP_TO: usize = 100;

/// The maximum number of services of a cycle that an error lists.
const MAX_LISTED: usize = 10;

/// A node of the dependency graph.
#[derive(Debug)]
pub struct ServiceNode {
    /// The key of the service.
    pub key: String,
    /// The position in the list of services.
    pub index: usize,
    /// The keys of the services that it depends on.
    pub depends_on: Vec<String>,
}

/// Reports unknown, duplicate and cyclic dependencies of the services in the list at `place`.
pub fn check(services: &[ServiceNode], place: &Place<'_>) {
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, service) in services.iter().enumerate() {
        positions.entry(&service.key).or_insert(position);
    }
    let mut edges = Vec::with_capacity(services.len());
    for service in services {
        edges.push(resolve_edges(service, &positions, place));
    }
    report_cycles(services, &edges, place);
}

/// Warns if the page of a service can start before the status of a dependency shows that the dependency is the cause. When a service
/// fails, the checks of its dependencies run at once, so only slow checks are late. `indices` are the positions in the list at `place`.
pub fn warn_of_late_detection(
    services: &[Arc<Service>],
    indices: &HashMap<String, usize>,
    place: &Place<'_>,
) {
    let by_key: HashMap<_, _> = services.iter().map(|service| (&service.key, service)).collect();
    for service in services {
        for (index, key) in service.depends_on.iter().enumerate() {
            let Some(detection) = by_key.get(key).and_then(|service| longest_detection(service)) else {
                continue;
            };
            let tolerance = service.tolerance.down;
            if detection <= tolerance || place.finding_count() >= MAX_FINDINGS {
                continue;
            }
            let Some(position) = indices.get(service.key.as_str()) else {
                continue;
            };
            let place = place.index(*position).field("depends_on").index(index);
            place.warn(format_args!(
                "an alert may start before {key} is known to be down: detecting that may take {}, and the tolerance is {}; \
                 lower timeout or failures_before_down of {key}, or raise tolerance.down here",
                DurationText(detection),
                DurationText(tolerance)
            ));
        }
    }
}

/// The longest time until a service is known to be down, if all of its checks fail: the quickest checks decide, as many as take it down.
/// `None` if they can't.
fn longest_detection(service: &Service) -> Option<Duration> {
    let checks = service.critical_checks();
    let mut detections: Vec<Duration> = checks.map(|check| check.longest_detection()).collect();
    detections.sort_unstable();
    detections.get(service.checks_until_down() - 1).copied()
}

/// The positions of the services that `service` depends on, each with its index in `depends_on`.
fn resolve_edges(
    service: &ServiceNode,
    positions: &BTreeMap<&str, usize>,
    place: &Place<'_>,
) -> Vec<(usize, usize)> {
    let place = place.index(service.index).field("depends_on");
    let mut seen = HashSet::new();
    let mut edges = Vec::new();
    for (index, key) in service.depends_on.iter().enumerate() {
        if place.finding_count() >= MAX_FINDINGS {
            break;
        }
        if !seen.insert(key) {
            place.index(index).error("duplicate service: remove it");
            continue;
        }
        match positions.get(key.as_str()) {
            Some(position) => edges.push((*position, index)),
            None => {
                let near = (place.finding_count() < SUGGEST_UP_TO)
                    .then(|| suggest::nearest(key, positions.keys().copied()))
                    .flatten();
                let advice = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write the key of a service of this file".to_owned(),
                };
                place
                    .index(index)
                    .error(format_args!("unknown service: {advice}"));
            }
        }
    }
    edges
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Pending,
    /// At this position of the stack.
    OnStack(usize),
    Done,
}

/// Depth-first search with a stack instead of recursion, since chains may be as long as the file.
fn report_cycles(services: &[ServiceNode], edges: &[Vec<(usize, usize)>], place: &Place<'_>) {
    let mut visits = vec![Visit::Pending; services.len()];
    for start in 0..services.len() {
        if visits[start] != Visit::Pending || place.finding_count() >= MAX_FINDINGS {
            continue;
        }
        visits[start] = Visit::OnStack(0);
        let mut stack = vec![(start, 0)];
        while let Some((position, next)) = stack.last_mut() {
            let from = *position;
            let Some((to, index)) = edges[from].get(*next).copied() else {
                visits[from] = Visit::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            match visits[to] {
                Visit::Done => {}
                Visit::Pending => {
                    visits[to] = Visit::OnStack(stack.len());
                    stack.push((to, 0));
                }
                Visit::OnStack(start) => {
                    let cycle = stack[start..]
                        .iter()
                        .map(|(position, _)| services[*position].key.as_str());
                    let place = place.index(services[from].index).field("depends_on").index(index);
                    place.error(cycle_message(cycle.take(MAX_LISTED + 1).collect()));
                }
            }
        }
    }
}

fn cycle_message(mut cycle: Vec<&str>) -> String {
    let first = cycle.first().copied().unwrap_or_default();
    if cycle.len() > MAX_LISTED {
        cycle.truncate(MAX_LISTED);
        cycle.push("...");
    }
    cycle.push(first);
    format!(
        "the services depend on one another in a cycle ({}): remove one of these dependencies",
        cycle.join(" -> ")
    )
}
