//! Collects the warnings of a run, and combines them into one problem.

use crate::model::{Problem, Reason};

/// The severity of a warning. The most severe warning determines the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Publishers are blocked.
    Alarm,
    /// A node of the cluster is not running.
    Node,
    /// A queue is missing or can't be inspected.
    Queue,
    /// A queue exceeds a limit.
    Limit,
    /// The management API does not respond properly.
    Management,
}

/// The warnings of a run.
#[derive(Debug, Default)]
pub struct Warnings(Vec<(Severity, Problem)>);

impl Warnings {
    /// Adds a warning.
    pub fn add(&mut self, severity: Severity, problem: Problem) {
        self.0.push((severity, problem));
    }

    /// Combines all warnings into one problem, the most severe first.
    pub fn combine(mut self) -> Option<Problem> {
        self.0.sort_by_key(|(severity, _)| *severity);
        let reason: Reason = self.0.first()?.1.reason;
        let texts: Vec<&str> = self.0.iter().map(|(_, problem)| problem.message()).collect();
        Some(Problem::new(reason, texts.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_warning_comes_first() {
        let mut warnings = Warnings::default();
        warnings.add(Severity::Management, Problem::new(Reason::Auth, "m"));
        warnings.add(Severity::Limit, Problem::new(Reason::Limit, "long"));
        warnings.add(Severity::Alarm, Problem::new(Reason::State, "alarm"));
        let problem = warnings.combine().unwrap();
        assert_eq!(problem.to_string(), "state: alarm; long; m");
        assert_eq!(Warnings::default().combine(), None);
    }
}
