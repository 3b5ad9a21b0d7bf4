//! Combines the rounds of discovery. Services and checks that last are added, and none is removed: what has disappeared is reported as
//! down until a restart. Pure.

use std::collections::BTreeSet;

use super::grouping::MAX_SERVICES;
use super::render::{Keyed, assign_keys, list};
use super::service::{Group, Service};

/// How many checks a service has at most. A program that opens other ports again and again would have more with each round.
const MAX_CHECKS: usize = 64;

/// The services of all rounds.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    services: Vec<Service>,
    keyed: Keyed,
    /// The checks of the last round that was added by [`Self::add_lasting`], each with the identity of its service.
    seen: BTreeSet<(String, String)>,
}

impl Merged {
    /// Adds those services and checks of a round that were also in the round before. A container of a job, or a port of a program that
    /// somebody tries, would be down as soon as it ends. Returns whether any service or check is new.
    pub fn add_lasting(&mut self, mut found: Vec<Service>) -> bool {
        let all = found.iter().flat_map(|service| {
            let checks = service.checks.iter();
            checks.map(|check| (service.identity.clone(), check.clone()))
        });
        let now: BTreeSet<(String, String)> = all.collect();
        for service in &mut found {
            let identity = &service.identity;
            let was_seen = |check: &String| self.seen.contains(&(identity.clone(), check.clone()));
            service.checks.retain(was_seen);
        }
        self.seen = now;
        found.retain(|service| !service.checks.is_empty());
        self.add(found)
    }

    /// Adds the services of a look at what the first one did not wait for. A service that had not answered gets its group now, seconds
    /// after the start. Later, a group stays: it is a label of the series. Returns whether any service or check is new.
    pub fn add_rest(&mut self, found: Vec<Service>) -> bool {
        let mut is_changed = false;
        for service in &found {
            let known = self
                .services
                .iter_mut()
                .find(|known| known.identity == service.identity);
            let is_unsure = |known: &&mut Service| matches!(known.group, Group::Other | Group::Containers);
            if let Some(known) = known
                .filter(is_unsure)
                .filter(|known| known.group != service.group)
            {
                known.group = service.group;
                is_changed = true;
            }
        }
        self.add(found) || is_changed
    }

    /// Adds the services of a round. Returns whether any service or check is new.
    pub fn add(&mut self, found: Vec<Service>) -> bool {
        let mut is_changed = false;
        for service in found {
            let is_full = self.services.len() >= MAX_SERVICES;
            // Its holder was known, and is not now, such as while the search of the processes is cut.
            let is_held = is_port(&service) && self.is_held(&service);
            let known = self
                .services
                .iter_mut()
                .find(|known| known.identity == service.identity);
            match known {
                Some(known) => {
                    for check in service.checks {
                        is_changed |= add_check(known, check);
                    }
                    known.notes = service.notes;
                    // systemd may have responded too late to describe it.
                    if known.description.is_empty() && !service.description.is_empty() {
                        known.description = service.description;
                        is_changed = true;
                    }
                }
                None if is_full || is_held => {}
                None => {
                    is_changed = true;
                    self.services.push(service);
                }
            }
        }
        is_changed |= self.drop_ports_with_holders();
        self.services
            .sort_by(|a, b| (a.group, &a.identity).cmp(&(b.group, &b.identity)));
        assign_keys(&self.services, &mut self.keyed);
        is_changed
    }

    /// A port whose holder was not known is a service of its own. When its holder is found, that has its checks. Returns whether there was
    /// such a port.
    fn drop_ports_with_holders(&mut self) -> bool {
        let held: BTreeSet<String> = self
            .services
            .iter()
            .filter(|service| !is_port(service))
            .flat_map(|service| service.checks.iter().cloned())
            .collect();
        let before = self.services.len();
        let is_held = |service: &Service| service.checks.iter().all(|check| held.contains(check));
        self.services
            .retain(|service| !is_port(service) || !is_held(service));
        self.services.len() < before
    }

    /// Whether each check of a port is also one of another service.
    fn is_held(&self, port: &Service) -> bool {
        let others = || self.services.iter().filter(|other| !is_port(other));
        let is_held = |check: &String| others().any(|other| other.checks.contains(check));
        port.checks.iter().all(is_held)
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

/// Adds a check. Returns whether it is new. An http check of another page of the same server replaces the earlier one, if that was
/// made of what the server responded while it was starting. Otherwise the earlier one stays: a server that is broken may respond with
/// another page than its health page, and must not be up because of that.
fn add_check(known: &mut Service, check: String) -> bool {
    if known.checks.contains(&check) {
        return false;
    }
    let server = http_server(&check);
    let earlier = known
        .checks
        .iter()
        .position(|earlier| server.is_some() && http_server(earlier) == server);
    match earlier {
        Some(earlier) if !is_better(&check, &known.checks[earlier]) => return false,
        Some(earlier) => known.checks[earlier] = check,
        None if known.checks.len() >= MAX_CHECKS => return false,
        None => known.checks.push(check),
    }
    true
}

/// Whether an http check says more than the earlier one of the same server. Only one of a page without success has status codes.
fn is_better(check: &str, earlier: &str) -> bool {
    let accepts_missing = |check: &str| check.contains(", 404");
    earlier.contains("valid_status_codes") && (accepts_missing(earlier) || !accepts_missing(check))
}

/// The server of an http check: `http://127.0.0.1:80`.
fn http_server(check: &str) -> Option<&str> {
    let url = check.strip_prefix("{ kind: http, url: \"")?;
    let host = url.find("://")? + 3;
    let length = url.get(host..)?.find('/')?;
    url.get(..host + length)
}

/// Whether a service is a port whose holder is not known.
fn is_port(service: &Service) -> bool {
    service.identity.starts_with("port:")
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// The server was starting in the first look.
    #[test]
    fn a_better_page_of_a_server_replaces_the_first_one() {
        let early = r#"{ kind: http, url: "http://127.0.0.1:80/", valid_status_codes: [404] }"#;
        let late = r#"{ kind: http, url: "http://127.0.0.1:80/health" }"#;
        let other = r#"{ kind: http, url: "http://127.0.0.1:8080/" }"#;
        let mut merged = Merged::default();
        merged.add(vec![service("unit:a", "a", &[early, other])]);
        assert!(merged.add(vec![service("unit:a", "a", &[late, other])]));
        assert!(!merged.list().contains("404"));
        assert!(merged.list().contains(late) && merged.list().contains(other));
    }

    /// An application whose health page fails after a crash responds with 404 to the first page. Its outage goes on.
    #[test]
    fn a_worse_page_of_a_server_does_not_replace_its_health_page() {
        let health = r#"{ kind: http, url: "http://127.0.0.1:80/health" }"#;
        let login = r#"{ kind: http, url: "http://127.0.0.1:80/", valid_status_codes: [200, 302] }"#;
        let missing = r#"{ kind: http, url: "http://127.0.0.1:80/", valid_status_codes: [200, 302, 404] }"#;
        let first_page = r#"{ kind: http, url: "http://127.0.0.1:80/" }"#;
        for (known, broken) in [
            (health, missing),
            (health, first_page),
            (health, login),
            (login, missing),
        ] {
            let mut merged = Merged::default();
            merged.add(vec![service("unit:a", "a", &[known])]);
            let before = merged.list();
            assert!(!merged.add(vec![service("unit:a", "a", &[broken])]));
            assert_eq!(merged.list(), before);
        }
    }

    #[test]
    fn what_does_not_last_is_not_added() {
        let mut merged = Merged::default();
        merged.add(vec![service("unit:a", "a", &[A])]);
        assert!(!merged.add_lasting(vec![
            service("unit:a", "a", &[A, B]),
            service("container:job", "job", &[B])
        ]));
        assert!(!merged.add_lasting(vec![service("unit:a", "a", &[A])]));
        assert!(!merged.add_lasting(vec![service("unit:a", "a", &[A, B])]));
        assert_eq!(merged.len(), 1);
        assert!(!merged.list().contains(B));
        assert!(merged.add_lasting(vec![service("unit:a", "a", &[A, B])]));
        assert!(merged.list().contains(B));
    }

    /// The search of the processes was cut in the first look.
    #[test]
    fn a_port_moves_to_its_holder() {
        let mut merged = Merged::default();
        merged.add(vec![
            service("port:00001", "port 1", &[A]),
            service("port:00002", "port 2", &[B]),
        ]);
        assert!(merged.add(vec![service(
            "program:a:",
            "a",
            &[A, "{ kind: process, regex: a }"]
        )]));
        let text = merged.list();
        assert!(!text.contains("port-1") && text.contains("port-2"), "{text}");
        assert_eq!(text.matches(A).count(), 1, "{text}");
        assert!(!merged.add(vec![service("program:a:", "a", &[A])]));
        // A later search is cut.
        assert!(!merged.add(vec![service("port:00001", "port 1", &[A])]));
        assert_eq!(merged.list(), text);
    }

    /// A service with more checks than a configuration allows would disappear.
    #[test]
    fn the_checks_of_a_service_are_bounded() {
        let mut merged = Merged::default();
        for port in 1..=2000 {
            merged.add(vec![service(
                "unit:a",
                "a",
                &[&format!("{{ kind: port, port: {port} }}")],
            )]);
        }
        assert_eq!(merged.list().matches("kind: port").count(), MAX_CHECKS);
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
