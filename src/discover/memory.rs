//! What earlier looks found, so that later ones do not disturb servers and do not read projects again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Heard, Port, Project, Server, Unit};
use super::pages::{health_page, is_success};

/// How often a port is connected to at most, if nothing known answers, or no page of it succeeds. Also how often a project is compared
/// that can't have a check.
const MAX_TRIES: u32 = 3;

/// A port and its holder.
pub type PortOwner = (u16, Option<String>);

/// What answered. These ports are not connected to again.
pub type Heards = BTreeMap<PortOwner, Heard>;

/// A unit with its working directory and its program.
pub type ProjectOwner = (String, String, String);

/// The projects that are not compared again.
pub type Projects = BTreeMap<ProjectOwner, Vec<Project>>;

/// The results of earlier looks.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What answered.
    pub heards: Heards,
    /// The projects.
    pub projects: Projects,
    /// The results of the last look, also those that are not final.
    last: Heards,
    /// How often nothing known answered.
    asks: BTreeMap<PortOwner, u32>,
    /// How often projects were compared without success.
    compared: BTreeMap<ProjectOwner, u32>,
}

impl Memory {
    /// The memory for a look at what the last one did not wait for: no port is connected to again.
    pub fn for_rest(&self) -> Self {
        let mut memory = self.clone();
        memory.heards.extend(self.last.clone());
        memory
    }

    /// Adds the results of a look. Forgets ports and units that are gone, so that they are examined again when they are back.
    /// `is_rest` says that the look used [`Self::for_rest`].
    pub fn record(&mut self, facts: &Facts, is_rest: bool) {
        let last = std::mem::take(&mut self.last);
        for port in &facts.ports {
            let owner = owner(port);
            if matches!(port.heard, Heard::NotAsked | Heard::NotYet) {
                continue;
            }
            self.last.insert(owner.clone(), port.heard.clone());
            if self.heards.contains_key(&owner) || (is_rest && last.contains_key(&owner)) {
                continue;
            }
            let asks = self.asks.entry(owner.clone()).or_default();
            *asks += 1;
            if is_final(&port.heard) || *asks >= MAX_TRIES {
                self.heards.insert(owner, port.heard.clone());
            }
        }
        for unit in facts.units.iter().filter(|unit| !unit.projects.is_empty()) {
            let owner = project_owner(unit);
            if self.projects.contains_key(&owner) {
                continue;
            }
            let tries = self.compared.entry(owner.clone()).or_default();
            *tries += 1;
            let is_good = unit.projects.iter().all(|project| project.obstacle.is_none());
            if is_good || *tries >= MAX_TRIES {
                self.projects.insert(owner, unit.projects.clone());
            }
        }
        self.forget(facts);
    }

    fn forget(&mut self, facts: &Facts) {
        // A look that did not find everything says nothing about what is gone.
        if facts.running.ports.is_some() && !facts.pending.holders {
            let ports: BTreeSet<PortOwner> = facts.ports.iter().map(owner).collect();
            self.heards.retain(|owner, _| ports.contains(owner));
            self.asks.retain(|owner, _| ports.contains(owner));
        }
        if facts.running.units.is_some() && !facts.pending.units {
            let units: BTreeSet<ProjectOwner> = facts.units.iter().map(project_owner).collect();
            self.projects.retain(|owner, _| units.contains(owner));
            self.compared.retain(|owner, _| units.contains(owner));
        }
    }
}

/// The port with its holder, by which it is known in later looks.
pub fn owner(port: &Port) -> PortOwner {
    let program = || port.program.as_ref().map(|program| program.name.clone());
    (port.number, port.unit.clone().or_else(program))
}

/// The unit with what decides where its projects are.
pub fn project_owner(unit: &Unit) -> ProjectOwner {
    (unit.name.clone(), unit.directory.clone(), unit.program.clone())
}

/// Whether an answer is final. A server that is starting may respond otherwise later, and one on a busy machine too late.
fn is_final(heard: &Heard) -> bool {
    match heard {
        Heard::NotAsked | Heard::NotYet | Heard::Refused | Heard::Silent => false,
        Heard::Server(Server::Http(server)) => {
            health_page(server).is_some_and(|page| is_success(page) && page.body.is_some())
        }
        Heard::Server(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(heard: Heard) -> Facts {
        let mut facts = Facts::default();
        facts.ports.push(Port {
            number: 80,
            addresses: BTreeSet::new(),
            unit: None,
            is_unit_visible: false,
            is_activated: false,
            program: None,
            heard,
        });
        facts.running.ports = Some(BTreeSet::from([80]));
        facts
    }

    #[test]
    fn a_port_that_says_nothing_is_asked_three_times() {
        let mut memory = Memory::default();
        for _ in 1..MAX_TRIES {
            memory.record(&port(Heard::Silent), false);
            memory.record(&port(Heard::NotYet), false);
            assert_eq!(memory.heards.len(), 0);
        }
        memory.record(&port(Heard::Silent), false);
        assert_eq!(memory.heards.len(), 1);
        memory.record(&Facts::default(), false);
        assert_eq!(memory.heards.len(), 1, "the ports were not listed");
        let mut gone = port(Heard::Silent);
        gone.ports.clear();
        memory.record(&gone, false);
        assert_eq!(memory.heards.len(), 0);
        memory.record(&port(Heard::Server(Server::Memcached)), false);
        assert_eq!(memory.heards.len(), 1, "a known server is asked once");
    }

    /// A look at the rest follows at once, and does not ask the same again.
    #[test]
    fn the_rest_of_a_look_asks_nobody_twice() {
        let mut memory = Memory::default();
        memory.record(&port(Heard::Silent), false);
        assert_eq!(memory.heards.len(), 0);
        assert_eq!(memory.for_rest().heards.len(), 1);
        for _ in 0..MAX_TRIES {
            memory.record(&port(Heard::Silent), true);
            assert_eq!(memory.heards.len(), 0, "it was not asked");
        }
    }

    #[test]
    fn a_project_is_compared_until_it_succeeds() {
        let unit = |obstacle: Option<&str>| Facts {
            units: vec![Unit {
                name: "a.service".to_owned(),
                projects: vec![Project {
                    check: "x".to_owned(),
                    obstacle: obstacle.map(str::to_owned),
                }],
                ..Unit::default()
            }],
            ..Facts::default()
        };
        let mut memory = Memory::default();
        memory.record(&unit(Some("slow")), false);
        assert_eq!(memory.projects.len(), 0);
        memory.record(&unit(None), false);
        assert_eq!(memory.projects.len(), 1);
        let mut memory = Memory::default();
        for _ in 0..MAX_TRIES {
            assert_eq!(memory.projects.len(), 0);
            memory.record(&unit(Some("old packages")), false);
        }
        assert_eq!(memory.projects.len(), 1);
    }
}
