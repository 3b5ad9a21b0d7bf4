//! Validates `depends_on`: the services exist, and there are no cycles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::duration::DurationText;
use super::others::Others;
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
    /// The position in the list of services; `None` if the service is not in the list.
    pub index: Option<usize>,
    /// The keys of the services that it depends on.
    pub depends_on: Vec<String>,
}

impl ServiceNode {
    /// The node of a service that is not in the list.
    fn elsewhere(service: &Service) -> Self {
        Self {
            key: service.key.as_str().to_owned(),
            index: None,
            depends_on: service
                .depends_on
                .iter()
                .map(|key| key.as_str().to_owned())
                .collect(),
        }
    }
}

/// Reports unknown, duplicate and cyclic dependencies of the services in the list at `place`.
pub fn check(mut services: Vec<ServiceNode>, others: Others<'_>, place: &Place<'_>) {
    services.extend(
        others
            .services
            .iter()
            .map(|service| ServiceNode::elsewhere(service)),
    );
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, service) in services.iter().enumerate() {
        positions.entry(&service.key).or_insert(position);
    }
    let mut edges = Vec::with_capacity(services.len());
    for service in &services {
        edges.push(match service.index {
            Some(index) => {
                let place = place.index(index).field("depends_on");
                resolve_edges(service, &positions, others.is_incomplete, &place)
            }
            // They were validated when the file of the service was valid.
            None => existing_edges(service, &positions),
        });
    }
    report_cycles(&services, &edges, place);
}

/// Warns if the page of a service can start before the status of a dependency shows that the dependency is the cause. When a service
/// fails, the checks of its dependencies run at once, so only slow checks are late. `indices` are the positions in the list at `place`.
pub fn warn_of_late_detection(
    services: &[Arc<Service>],
    others: Others<'_>,
    indices: &HashMap<String, usize>,
    place: &Place<'_>,
) {
    let all = others.services.iter().chain(services);
    let by_key: HashMap<_, _> = all.map(|service| (&service.key, service)).collect();
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

/// The positions of the services that `service` depends on and that exist, each with its index in `depends_on`.
fn existing_edges(service: &ServiceNode, positions: &BTreeMap<&str, usize>) -> Vec<(usize, usize)> {
    let keys = service.depends_on.iter().enumerate();
    keys.filter_map(|(index, key)| Some((*positions.get(key.as_str())?, index)))
        .collect()
}

/// As [`existing_edges`]. Reports unknown and duplicate services of the list at `place`. If services may be missing, an unknown one is
/// only a warning.
fn resolve_edges(
    service: &ServiceNode,
    positions: &BTreeMap<&str, usize>,
    is_incomplete: bool,
    place: &Place<'_>,
) -> Vec<(usize, usize)> {
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
            None if is_incomplete => place.index(index).warn(suggest::maybe_missing("service")),
            None => {
                let near = (place.finding_count() < SUGGEST_UP_TO)
                    .then(|| suggest::nearest(key, positions.keys().copied()))
                    .flatten();
                let advice = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write the key of a service".to_owned(),
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
            let Some((to, _)) = edges[from].get(*next).copied() else {
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
                    let cycle = &stack[start..];
                    // The dependency that closes the cycle, or else the nearest one that is in the list.
                    let in_list = cycle.iter().rev().find_map(|(position, next)| {
                        Some((services[*position].index?, edges[*position][next - 1].1))
                    });
                    if let Some((service, index)) = in_list {
                        let keys = cycle.iter().map(|(position, _)| services[*position].key.as_str());
                        let place = place.index(service).field("depends_on").index(index);
                        place.error(cycle_message(keys.take(MAX_LISTED + 1).collect()));
                    }
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
