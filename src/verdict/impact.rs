//! Impact: which services are affected because something they depend on is down, and the root causes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// The maximum number of root causes of a service that are reported. Each is a series and a line for people, and a few are enough to act.
pub const MAX_ROOTS: usize = 8;

/// The services that are down, and their effect on the services that depend on them. Services are identified by their position.
///
/// A service is impacted while a service that it depends on, directly or not, is down. A root cause is a service that is down and not
/// impacted itself.
#[derive(Clone, Debug, Default)]
pub struct Impact {
    /// For each service: the services that it depends on.
    dependencies: Vec<Vec<usize>>,
    /// For each service: the services that depend on it.
    dependants: Vec<Vec<usize>>,
    /// For each service: its place in an order in which dependencies come first.
    ranks: Vec<usize>,
    is_down: Vec<bool>,
    /// For each service: the root causes of its impact, ascending, at most [`MAX_ROOTS`].
    roots: Vec<Vec<usize>>,
}

impl Impact {
    /// Creates the impact for services with these dependencies while none of them is down. The configuration has rejected cycles.
    pub fn new(dependencies: Vec<Vec<usize>>) -> Self {
        let mut dependants = vec![Vec::new(); dependencies.len()];
        for (service, needed) in dependencies.iter().enumerate() {
            for &dependency in needed {
                dependants[dependency].push(service);
            }
        }
        Self {
            ranks: ranks(&dependencies, &dependants),
            is_down: vec![false; dependencies.len()],
            roots: vec![Vec::new(); dependencies.len()],
            dependants,
            dependencies,
        }
    }

    /// Records whether a service is down. Returns the services whose root causes changed. Only services that depend on it are visited, and
    /// only as far as root causes change.
    pub fn set_down(&mut self, service: usize, is_down: bool) -> Vec<usize> {
        if std::mem::replace(&mut self.is_down[service], is_down) == is_down || self.is_impacted(service) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        let mut seen = HashSet::new();
        let mut queue = BinaryHeap::new();
        let mut visit = |service: usize, dependants: &[Vec<usize>], queue: &mut BinaryHeap<_>| {
            for &dependant in &dependants[service] {
                if seen.insert(dependant) {
                    queue.push(Reverse((self.ranks[dependant], dependant)));
                }
            }
        };
        visit(service, &self.dependants, &mut queue);
        while let Some(Reverse((_, next))) = queue.pop() {
            let roots = roots_of(&self.dependencies[next], &self.is_down, &self.roots);
            if roots != self.roots[next] {
                self.roots[next] = roots;
                changed.push(next);
                visit(next, &self.dependants, &mut queue);
            }
        }
        changed
    }

    /// Whether something that the service depends on is down.
    pub fn is_impacted(&self, service: usize) -> bool {
        !self.roots[service].is_empty()
    }

    /// The root causes of the service's impact, in ascending order.
    pub fn roots(&self, service: usize) -> &[usize] {
        &self.roots[service]
    }

    /// The services that the service depends on, directly or not, nearest first. At most `limit`.
    pub fn all_dependencies(&self, service: usize, limit: usize) -> Vec<usize> {
        let mut found = vec![service];
        let mut seen = HashSet::from([service]);
        let mut next = 0;
        while let Some(&service) = found.get(next) {
            next += 1;
            for &dependency in &self.dependencies[service] {
                if found.len() <= limit && seen.insert(dependency) {
                    found.push(dependency);
                }
            }
        }
        found.remove(0);
        found
    }
}

/// The root causes behind a service with these dependencies.
fn roots_of(dependencies: &[usize], is_down: &[bool], roots: &[Vec<usize>]) -> Vec<usize> {
    let mut found = Vec::new();
    for &dependency in dependencies {
        if !roots[dependency].is_empty() {
            found.extend_from_slice(&roots[dependency]);
        } else if is_down[dependency] {
            found.push(dependency);
        } else {
            continue;
        }
        found.sort_unstable();
        found.dedup();
        // The smallest of all are among the smallest of each.
        found.truncate(MAX_ROOTS);
    }
    found
}

/// The place of each service in an order in which dependencies come first (Kahn's algorithm).
fn ranks(dependencies: &[Vec<usize>], dependants: &[Vec<usize>]) -> Vec<usize> {
    let mut missing: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..missing.len())
        .filter(|&service| missing[service] == 0)
        .collect();
    let mut ranks = vec![usize::MAX; missing.len()];
    let mut next = 0;
    while let Some(&service) = order.get(next) {
        ranks[service] = next;
        next += 1;
        for &dependant in &dependants[service] {
            missing[dependant] -= 1;
            if missing[dependant] == 0 {
                order.push(dependant);
            }
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: all services that are down behind `service`, without those that have one behind them.
    fn naive_roots(dependencies: &[Vec<usize>], is_down: &[bool], service: usize) -> Vec<usize> {
        fn behind(dependencies: &[Vec<usize>], service: usize, found: &mut HashSet<usize>) {
            for &dependency in &dependencies[service] {
                if found.insert(dependency) {
                    behind(dependencies, dependency, found);
                }
            }
        }
        let down_behind = |service| {
            let mut found = HashSet::new();
            behind(dependencies, service, &mut found);
            found.retain(|&service| is_down[service]);
            found
        };
        let mut roots: Vec<usize> = down_behind(service).into_iter().collect();
        roots.retain(|&root| down_behind(root).is_empty());
        roots.sort_unstable();
        roots.truncate(MAX_ROOTS);
        roots
    }

    /// The roots of each service after these services went down.
    fn roots(dependencies: &[&[usize]], down: &[usize]) -> Vec<Vec<usize>> {
        let mut impact = Impact::new(dependencies.iter().map(|needed| needed.to_vec()).collect());
        for &service in down {
            impact.set_down(service, true);
        }
        (0..dependencies.len())
            .map(|service| impact.roots(service).to_vec())
            .collect()
    }

    #[test]
    fn a_chain_has_its_last_failing_service_as_root() {
        let chain: &[&[usize]] = &[&[1], &[2], &[3], &[]];
        assert_eq!(roots(chain, &[2]), [vec![2], vec![2], vec![], vec![]]);
        assert_eq!(roots(chain, &[0, 1]), [vec![1], vec![], vec![], vec![]]);
        assert_eq!(roots(chain, &[1, 3]), [vec![3], vec![3], vec![3], vec![]]);
        assert_eq!(roots(chain, &[3, 1]), [vec![3], vec![3], vec![3], vec![]]);
    }

    #[test]
    fn a_diamond_has_one_root_or_both_sides() {
        let diamond: &[&[usize]] = &[&[1, 2], &[3], &[3], &[]];
        assert_eq!(roots(diamond, &[3]), [vec![3], vec![3], vec![3], vec![]]);
        assert_eq!(roots(diamond, &[2, 1]), [vec![1, 2], vec![], vec![], vec![]]);
        assert_eq!(roots(diamond, &[1, 3, 2]), [vec![3], vec![3], vec![3], vec![]]);
    }

    #[test]
    fn at_most_eight_roots_are_reported() {
        let needed: Vec<usize> = (1..=20).rev().collect();
        let mut dependencies = vec![needed];
        dependencies.resize(21, Vec::new());
        let mut impact = Impact::new(dependencies);
        for service in (1..=20).rev() {
            impact.set_down(service, true);
        }
        assert_eq!(impact.roots(0), [1, 2, 3, 4, 5, 6, 7, 8]);
        impact.set_down(3, false);
        assert_eq!(impact.roots(0), [1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn all_dependencies_are_listed_nearest_first_up_to_the_limit() {
        let impact = Impact::new(vec![vec![1, 2], vec![3], vec![3, 4], vec![], vec![]]);
        assert_eq!(impact.all_dependencies(0, 9), [1, 2, 3, 4]);
        assert_eq!(impact.all_dependencies(0, 3), [1, 2, 3]);
        assert_eq!(impact.all_dependencies(4, 9), [0; 0]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let length = 100_000;
        let dependencies =
            (0..length).map(|service| (service..length - 1).take(1).map(|next| next + 1).collect());
        let mut impact = Impact::new(dependencies.collect());
        assert_eq!(impact.set_down(length - 1, true).len(), length - 1);
        assert_eq!(impact.roots(0), [length - 1]);
    }

    proptest! {
        /// Edges lead from a service to one with a larger number, so there are no cycles. The numbers are then shuffled.
        #[test]
        fn roots_follow_the_definition(
            edges in prop::collection::hash_set((0..12_usize, 0..12_usize), 0..40),
            order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
            changes in prop::collection::vec((0..12_usize, any::<bool>()), 0..40),
        ) {
            let mut dependencies = vec![Vec::new(); 12];
            for (from, to) in edges {
                if from < to {
                    dependencies[order[from]].push(order[to]);
                }
            }
            let mut impact = Impact::new(dependencies.clone());
            let mut is_down = [false; 12];
            let mut roots = vec![Vec::new(); 12];
            for (service, down) in changes {
                is_down[service] = down;
                let mut changed = impact.set_down(service, down);
                changed.sort_unstable();
                let now: Vec<_> = (0..12).map(|service| naive_roots(&dependencies, &is_down, service)).collect();
                let expected: Vec<usize> = (0..12).filter(|&service| now[service] != roots[service]).collect();
                prop_assert_eq!(changed, expected);
                roots = now;
                for (service, roots) in roots.iter().enumerate() {
                    prop_assert_eq!(impact.roots(service), &roots[..]);
                }
            }
        }
    }
}
