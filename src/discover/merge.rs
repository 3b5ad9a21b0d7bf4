//! Combines the rounds of discovery. Services and checks are only added: what has disappeared keeps its checks, so it is reported as
//! down until a restart. Pure.

use super::grouping::MAX_SERVICES;
use super::render::{Keyed, assign_keys, list};
use super::service::Service;

/// The services of all rounds.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    services: Vec<Service>,
    keyed: Keyed,
}

impl Merged {
    /// Adds the services of a round. Returns whether any service or check is new.
    pub fn add(&mut self, found: Vec<Service>) -> bool {
        let mut is_changed = false;
        for service in found {
            let is_full = self.services.len() >= MAX_SERVICES;
            let known = self
                .services
                .iter_mut()
                .find(|known| known.identity == service.identity);
            match known {
                Some(known) => {
                    let before = known.checks.len();
                    service.checks.into_iter().for_each(|check| known.check(check));
                    is_changed |= known.checks.len() > before;
                    // The group stays: it is a label of the series.
                    known.notes = service.notes;
                }
                None if is_full => {}
                None => {
                    is_changed = true;
                    self.services.push(service);
                }
            }
        }
        self.services
            .sort_by(|a, b| (a.group, &a.identity).cmp(&(b.group, &b.identity)));
        assign_keys(&self.services, &mut self.keyed);
        is_changed
    }

    /// The services as entries of the list `services`.
    pub fn list(&self) -> String {
        list(&self.services, &self.keyed)
    }

    /// The number of services.
    pub fn len(&self) -> usize {
        self.services.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::service::Group;

    fn service(identity: &str, name: &str, checks: &[&str]) -> Service {
        let mut service = Service::new(identity.to_owned(), name, Group::Other);
        service.checks = checks.iter().map(|check| (*check).to_owned()).collect();
        service
    }

    const A: &str = "{ kind: port, port: 1 }";
    const B: &str = "{ kind: port, port: 2 }";

    #[test]
    fn nothing_is_forgotten() {
        let mut merged = Merged::default();
        assert!(merged.add(vec![
            service("unit:a", "a", &[A, B]),
            service("unit:b", "b", &[B])
        ]));
        let first = merged.list();
        assert!(
            !merged.add(vec![service("unit:a", "a", &[A])]),
            "fewer checks are no change"
        );
        assert!(!merged.add(Vec::new()));
        assert_eq!(merged.list(), first);
    }

    #[test]
    fn what_is_new_is_added_and_keeps_the_names_of_the_others() {
        let mut merged = Merged::default();
        merged.add(vec![service("unit:b", "web", &[A])]);
        assert!(merged.add(vec![
            service("unit:a", "web", &[A]),
            service("unit:b", "web", &[B])
        ]));
        let text = merged.list();
        assert_eq!(merged.len(), 2);
        // The first one keeps its key, although the other one comes before it in the file.
        let (first, second) = text.split_at(text.find("key: \"web\"\n").unwrap());
        assert!(
            first.contains("key: \"web-2\"") && second.contains(A) && second.contains(B),
            "{text}"
        );
    }
}
