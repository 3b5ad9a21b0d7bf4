//! What is not as it should be while the broker works: gathered over a run, told as one.

use crate::model::{Problem, Reason};

/// How much a warning weighs; the heaviest gives its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Publishers are blocked.
    Alarm,
    /// A node of the cluster does not run.
    Node,
    /// A queue is missing or can't be looked at.
    Queue,
    /// A queue is beyond a limit.
    Limit,
    /// The management does not tell.
    Management,
}

/// The warnings of a run.
#[derive(Debug, Default)]
pub struct Warnings(Vec<(Weight, Problem)>);

impl Warnings {
    /// Adds one.
    pub fn add(&mut self, weight: Weight, problem: Problem) {
        self.0.push((weight, problem));
    }

    /// One problem with the texts of all, the heaviest first.
    pub fn together(mut self) -> Option<Problem> {
        self.0.sort_by_key(|(weight, _)| *weight);
        let reason: Reason = self.0.first()?.1.reason;
        let texts: Vec<&str> = self.0.iter().map(|(_, problem)| problem.message()).collect();
        Some(Problem::new(reason, texts.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_gives_the_reason_and_all_are_told() {
        let mut warnings = Warnings::default();
        warnings.add(Weight::Management, Problem::new(Reason::Auth, "m"));
        warnings.add(Weight::Limit, Problem::new(Reason::Limit, "long"));
        warnings.add(Weight::Alarm, Problem::new(Reason::State, "alarm"));
        let problem = warnings.together().unwrap();
        assert_eq!(problem.to_string(), "state: alarm; long; m");
        assert_eq!(Warnings::default().together(), None);
    }
}
