//! Plans an action on services: what to do with each, and which others to wait for. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::actuator::Action;
use crate::config::Service;
use crate::config::Target;
use crate::model::ServiceKey;

/// An action on services. A step begins when the steps that it waits for are complete, so independent services are handled at
/// the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The action.
    pub action: Action,
    /// One step for each selected service, in an order in which they could be done one after the other.
    pub steps: Vec<Step>,
}

/// The action on one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The service.
    pub service: Arc<Service>,
    /// The units and containers to act on. Without any, the service is only waited for.
    pub targets: Vec<Target>,
    /// The units and containers of the service that an earlier step acts on, because they belong to several selected services.
    pub shared: Vec<Target>,
    /// The positions of the steps to wait for; all are smaller than the position of this step.
    pub after: Vec<usize>,
    /// Services that are not selected but have one of the units or containers, so that the action affects them too.
    pub also_affects: Vec<ServiceKey>,
}

impl Plan {
    /// Plans an action on the selected ones of `services`, which have no cycle of dependencies.
    ///
    /// A service is started or restarted after the services that it depends on, and stopped before them. This also holds across
    /// services between them that are not selected.
    pub fn new(services: &[Arc<Service>], selected: &BTreeSet<ServiceKey>, action: Action) -> Self {
        let graph = Graph::new(services);
        let order = graph.order();
        let order: Vec<usize> = match action {
            Action::Start | Action::Restart => order,
            Action::Stop => order.into_iter().rev().collect(),
        };
        let mut plan = Self {
            action,
            steps: Vec::new(),
        };
        let mut step_of = HashMap::new();
        for position in order {
            let service = &services[position];
            if selected.contains(&service.key) {
                step_of.insert(position, plan.steps.len());
                let step = plan.step(service, services, selected);
                plan.steps.push(step);
            }
        }
        for (position, step) in &step_of {
            for needed in graph.nearest(*position, |other| step_of.contains_key(&other)) {
                let Some(other) = step_of.get(&needed) else {
                    continue;
                };
                let (later, earlier) = match action {
                    Action::Start | Action::Restart => (*step, *other),
                    Action::Stop => (*other, *step),
                };
                plan.steps[later].after.push(earlier);
            }
        }
        // The step that acts on a shared unit comes first, and the others wait for it.
        for position in 0..plan.steps.len() {
            let owners = plan.owners(position);
            let after = &mut plan.steps[position].after;
            after.extend(owners);
            after.sort_unstable();
            after.dedup();
        }
        plan
    }

    /// The step of a service, without what it waits for.
    fn step(&self, service: &Arc<Service>, all: &[Arc<Service>], selected: &BTreeSet<ServiceKey>) -> Step {
        let (mut targets, mut shared) = (Vec::new(), Vec::new());
        for target in targets_of(service) {
            match self.steps.iter().any(|earlier| earlier.targets.contains(&target)) {
                true => shared.push(target),
                false => targets.push(target),
            }
        }
        let has_one = |other: &Service| targets_of(other).iter().any(|target| targets.contains(target));
        let also_affects = match targets.is_empty() {
            true => Vec::new(),
            false => all
                .iter()
                .filter(|other| !selected.contains(&other.key) && has_one(other))
                .map(|other| other.key.clone())
                .collect(),
        };
        Step {
            service: Arc::clone(service),
            targets,
            shared,
            after: Vec::new(),
            also_affects,
        }
    }

    /// The earlier steps that act on the shared units and containers of a step.
    fn owners(&self, position: usize) -> Vec<usize> {
        let shared = &self.steps[position].shared;
        let owns = |step: &Step| step.targets.iter().any(|target| shared.contains(target));
        (0..position)
            .filter(|earlier| owns(&self.steps[*earlier]))
            .collect()
    }

    /// Whether any step acts on something.
    pub fn has_targets(&self) -> bool {
        self.steps.iter().any(|step| !step.targets.is_empty())
    }
}

/// The units and containers of a service, each once, in the order of its checks.
pub fn targets_of(service: &Service) -> Vec<Target> {
    let mut targets = Vec::new();
    for target in service.checks.iter().filter_map(|check| Target::of(&check.kind)) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The dependencies of services, by their position in the file.
struct Graph {
    depends_on: Vec<Vec<usize>>,
}

impl Graph {
    fn new(services: &[Arc<Service>]) -> Self {
        let position: HashMap<&ServiceKey, usize> = services
            .iter()
            .enumerate()
            .map(|(position, service)| (&service.key, position))
            .collect();
        let depends_on = services
            .iter()
            .map(|service| {
                let keys = service.depends_on.iter();
                keys.filter_map(|key| position.get(key).copied()).collect()
            })
            .collect();
        Self { depends_on }
    }

    /// All services, each after those that it depends on, otherwise in the order of the file. Uses a stack instead of recursion,
    /// since chains may be as long as the file.
    fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.depends_on.len());
        let mut is_visited = vec![false; self.depends_on.len()];
        for start in 0..self.depends_on.len() {
            if is_visited[start] {
                continue;
            }
            is_visited[start] = true;
            let mut stack = vec![(start, 0)];
            while let Some((position, next)) = stack.last_mut() {
                let from = *position;
                match self.depends_on[from].get(*next) {
                    None => {
                        order.push(from);
                        stack.pop();
                    }
                    Some(to) => {
                        *next += 1;
                        if !is_visited[*to] {
                            is_visited[*to] = true;
                            stack.push((*to, 0));
                        }
                    }
                }
            }
        }
        order
    }

    /// The nearest selected services that `start` depends on: those that it depends on directly, or through services that are
    /// not selected.
    fn nearest(&self, start: usize, is_selected: impl Fn(usize) -> bool) -> BTreeSet<usize> {
        let mut nearest = BTreeSet::new();
        let mut seen = BTreeSet::from([start]);
        let mut stack = vec![start];
        while let Some(from) = stack.pop() {
            for to in &self.depends_on[from] {
                if is_selected(*to) {
                    nearest.insert(*to);
                } else if seen.insert(*to) {
                    stack.push(*to);
                }
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests;
