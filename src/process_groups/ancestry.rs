//! The groups of processes that match no rule: those of their ancestors.

use std::collections::HashMap;

use super::known::{Known, Membership};

/// The new processes of a scan.
#[derive(Debug, Default)]
pub struct Ancestry {
    /// Their memberships, once they are known.
    found: HashMap<i32, Membership>,
    /// The parents of those that match no rule.
    parents: HashMap<i32, i32>,
}

impl Ancestry {
    /// Adds a process that matches a rule.
    pub fn add_matched(&mut self, id: i32, membership: Membership) {
        self.found.insert(id, membership);
    }

    /// Adds a process that matches none.
    pub fn add_unmatched(&mut self, id: i32, parent: i32) {
        self.parents.insert(id, parent);
    }

    /// Finds the membership of an unmatched process: that of its closest ancestor which matches a rule or was seen by an
    /// earlier scan. Without one, it is ignored.
    pub fn resolve(&mut self, id: i32, known: &Known) -> Membership {
        let mut path = vec![id];
        let mut current = id;
        let membership = loop {
            if let Some(membership) = self.found.get(&current) {
                break membership.clone();
            }
            let Some(parent) = self.parents.remove(&current) else {
                // Either it is known from an earlier scan, or it was not seen at all, or this is a circle: processes come and
                // go while they are read.
                let earlier = known.processes.get(&current);
                break earlier.map_or(Membership::Ignored, |(_, membership)| membership.clone());
            };
            path.push(parent);
            current = parent;
        };
        // Each step is taken once, however long the chains of ancestors are.
        for id in path {
            self.found.insert(id, membership.clone());
        }
        membership
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Membership {
        Membership::Group(name.into())
    }

    #[test]
    fn the_closest_ancestor_with_a_group_counts() {
        let mut known = Known::default();
        known.processes.insert(1, (0, Membership::Ignored));
        known.processes.insert(2, (0, group("old")));
        let mut ancestry = Ancestry::default();
        ancestry.add_matched(10, group("a"));
        for (id, parent) in [
            (11, 10),
            (12, 11),
            (13, 1),
            (14, 13),
            (15, 2),
            (16, 99),
            (17, 18),
            (18, 17),
        ] {
            ancestry.add_unmatched(id, parent);
        }
        for (id, expected) in [
            (12, group("a")),
            (11, group("a")),
            (14, Membership::Ignored),
            (13, Membership::Ignored),
            (15, group("old")),
            (16, Membership::Ignored),
            (17, Membership::Ignored),
        ] {
            assert_eq!(ancestry.resolve(id, &known), expected, "{id}");
        }
    }

    #[test]
    fn long_chains_take_linear_time() {
        let mut ancestry = Ancestry::default();
        ancestry.add_matched(1, group("a"));
        for id in 2..200_000 {
            ancestry.add_unmatched(id, id - 1);
        }
        for id in (2..200_000).rev() {
            assert_eq!(ancestry.resolve(id, &Known::default()), group("a"));
        }
    }
}
