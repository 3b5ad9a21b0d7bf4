//! The result of comparing installed packages with requirements.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::model::{Family, Finding, Problem, Reason, Report, Sample};

/// How many packages of a state a message names. The findings name more.
const MAX_NAMED: usize = 5;

/// Dependencies by state.
pub static DEPENDENCIES: Family = Family::gauge(
    "upkeep_dependencies",
    &["state"],
    "Dependencies by the result of their comparison: satisfied, missing, mismatched, unreadable, or extra if the check looks \
     for it.",
);

/// The values of the label `state`.
pub const STATES: [&str; 5] = ["satisfied", "missing", "mismatched", "unreadable", "extra"];

/// How a dependency differs from its requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not installed.
    Missing,
    /// Another version, or the same from another source, is installed.
    Mismatched,
    /// The requirement, the package or the file with it can't be read or compared. The run fails with this reason if nothing is
    /// missing or mismatched.
    Unreadable(Reason),
    /// It is installed, but not required.
    Extra,
}

impl State {
    /// The value of the label `state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Mismatched => "mismatched",
            Self::Unreadable(_) => "unreadable",
            Self::Extra => "extra",
        }
    }
}

/// A dependency that is not satisfied, or that is extra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package or the file.
    pub name: String,
    /// How it differs.
    pub state: State,
    /// What is required and where, such as `>=2 (requirements.txt:3)`. For an unreadable one, why.
    pub wanted: String,
    /// The version or source that is installed.
    pub installed: Option<String>,
    /// The exact command that mends it.
    pub fix: Option<String>,
}

impl Dependency {
    /// What is wrong, without the name.
    pub fn detail(&self) -> String {
        match (self.state, &self.installed) {
            (State::Unreadable(_), _) => self.wanted.clone(),
            (State::Extra, installed) => {
                format!(
                    "{} is installed, nothing requires it",
                    installed.as_deref().unwrap_or("it")
                )
            }
            (_, None) => format!("wanted {}", self.wanted),
            (_, Some(installed)) => format!("wanted {}, installed {installed}", self.wanted),
        }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many dependencies are satisfied.
    pub satisfied: usize,
    /// The dependencies that are not, and the extra ones.
    pub dependencies: Vec<Dependency>,
    /// Whether extra packages were looked for.
    pub looks_for_extra: bool,
    /// The exact command that mends all of them.
    pub fix: Option<String>,
}

impl Comparison {
    /// Adds samples, findings and a warning to the report, and judges the comparison of `target`.
    ///
    /// # Errors
    /// `missing` if a dependency is missing, otherwise `assertion` if one is mismatched, otherwise the reason of an unreadable
    /// one. Extra packages are a warning.
    pub fn conclude(&self, target: &str, report: &mut Report) -> Result<(), Problem> {
        let mut push = |state: &'static str, count: usize| {
            report.samples.push(Sample {
                family: &DEPENDENCIES,
                labels: vec![Cow::Borrowed(state)],
                value: count as f64,
            });
        };
        push("satisfied", self.satisfied);
        for state in ["missing", "mismatched", "unreadable"] {
            push(state, self.of(state).count());
        }
        if self.looks_for_extra {
            push("extra", self.of("extra").count());
        }
        for state in ["missing", "mismatched", "unreadable", "extra"] {
            for dependency in self.of(state) {
                report.findings.push(Finding {
                    subject: dependency.name.clone(),
                    state,
                    detail: dependency.detail(),
                    fix: dependency.fix.clone(),
                });
            }
        }
        if let Some(fix) = self.fix.as_deref().filter(|_| !self.dependencies.is_empty()) {
            report.findings.set_fix(fix);
        }
        let reason = self
            .of("missing")
            .map(|_| Reason::Missing)
            .chain(self.of("mismatched").map(|_| Reason::Assertion))
            .chain(
                self.dependencies
                    .iter()
                    .filter_map(|dependency| match dependency.state {
                        State::Unreadable(reason) => Some(reason),
                        _ => None,
                    }),
            )
            .next();
        let problem = |reason| {
            Problem::new(
                reason,
                Message {
                    target,
                    comparison: self,
                },
            )
        };
        match reason {
            Some(reason) => Err(problem(reason)),
            None => {
                let has_extra = self.of("extra").next().is_some();
                report.warning = has_extra.then(|| problem(Reason::Assertion));
                Ok(())
            }
        }
    }

    fn of<'a>(&'a self, state: &'a str) -> impl Iterator<Item = &'a Dependency> {
        self.dependencies
            .iter()
            .filter(move |dependency| dependency.state.as_str() == state)
    }
}

/// The text of the problem: `/srv/app: 1 of 9 dependencies is missing: x (wanted >=1); run: pip install 'x>=1'`.
struct Message<'a> {
    target: &'a str,
    comparison: &'a Comparison,
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, comparison } = self;
        write!(f, "{target}: ")?;
        let extra = comparison.of("extra").count();
        let total = comparison.satisfied + comparison.dependencies.len() - extra;
        let mut separator = "";
        for state in ["missing", "mismatched", "unreadable", "extra"] {
            let count = comparison.of(state).count();
            if count == 0 {
                continue;
            }
            let verb = if count == 1 { "is" } else { "are" };
            match state {
                "extra" if count == 1 => write!(f, "{separator}1 package is extra: ")?,
                "extra" => write!(f, "{separator}{count} packages are extra: ")?,
                _ if separator.is_empty() && total == 1 => write!(f, "the only dependency is {state}: ")?,
                _ if separator.is_empty() => write!(f, "{count} of {total} dependencies {verb} {state}: ")?,
                _ => write!(f, "{separator}{count} {verb} {state}: ")?,
            }
            separator = "; ";
            write_names(f, comparison, state)?;
        }
        match &comparison.fix {
            Some(fix) => write!(f, "; run: {fix}"),
            None => Ok(()),
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, comparison: &Comparison, state: &str) -> fmt::Result {
    let mut names = String::new();
    for (position, dependency) in comparison.of(state).enumerate() {
        if position == MAX_NAMED {
            let more = comparison.of(state).count() - MAX_NAMED;
            write!(names, " and {more} more")?;
            break;
        }
        if position > 0 {
            names.push_str(", ");
        }
        match state {
            "extra" => names.push_str(&dependency.name),
            _ => write!(names, "{} ({})", dependency.name, dependency.detail())?,
        }
    }
    f.write_str(&names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, state: State, installed: Option<&str>) -> Dependency {
        Dependency {
            name: name.to_owned(),
            state,
            wanted: ">=2".to_owned(),
            installed: installed.map(str::to_owned),
            fix: None,
        }
    }

    fn comparison(dependencies: Vec<Dependency>) -> Comparison {
        Comparison {
            satisfied: 8,
            dependencies,
            looks_for_extra: true,
            fix: Some("pip install -r r.txt".to_owned()),
        }
    }

    #[test]
    fn a_missing_dependency_decides_the_reason() {
        let all = comparison(vec![
            dependency("broken", State::Unreadable(Reason::Protocol), None),
            dependency("old", State::Mismatched, Some("1.0")),
            dependency("more", State::Extra, Some("3")),
            dependency("gone", State::Missing, None),
        ]);
        let mut report = Report::default();
        let problem = all.conclude("/srv/app", &mut report).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "missing: /srv/app: 1 of 11 dependencies is missing: gone (wanted >=2); 1 is mismatched: old (wanted >=2, \
             installed 1.0); 1 is unreadable: broken (>=2); 1 package is extra: more; run: pip install -r r.txt"
        );
        let samples: Vec<_> = report.samples.iter().map(|s| (&*s.labels[0], s.value)).collect();
        assert_eq!(
            samples,
            STATES.map(|s| (s, if s == "satisfied" { 8.0 } else { 1.0 }))
        );
        let found = report.findings.list().iter().map(|finding| &*finding.subject);
        assert_eq!(found.collect::<Vec<_>>(), ["gone", "old", "broken", "more"]);
        assert_eq!(report.findings.fix(), Some("pip install -r r.txt"));
        let reason = |state| {
            let one = comparison(vec![dependency("x", state, None)]);
            one.conclude("t", &mut Report::default()).unwrap_err().reason
        };
        assert_eq!(reason(State::Mismatched), Reason::Assertion);
        assert_eq!(reason(State::Unreadable(Reason::Limit)), Reason::Limit);
    }

    #[test]
    fn extra_packages_are_a_warning() {
        let mut report = Report::default();
        let extra = comparison(
            (0..7)
                .map(|n| dependency(&format!("p{n}"), State::Extra, Some("1")))
                .collect(),
        );
        assert_eq!(extra.conclude("t", &mut report), Ok(()));
        assert_eq!(
            report.warning.unwrap().to_string(),
            "assertion: t: 7 packages are extra: p0, p1, p2, p3, p4 and 2 more; run: pip install -r r.txt"
        );
        let mut report = Report::default();
        assert_eq!(comparison(Vec::new()).conclude("t", &mut report), Ok(()));
        assert_eq!(report.warning, None);
        assert!(report.findings.is_empty());
    }
}
