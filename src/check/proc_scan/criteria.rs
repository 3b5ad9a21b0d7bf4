//! The criteria that select processes.

use crate::check::executable;
use crate::config::pattern::Pattern;

/// Which processes match: those that meet all criteria given here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criteria {
    /// All of these match the name or the command line (arguments separated by spaces).
    pub patterns: Vec<Pattern>,
    /// The effective user.
    pub user: Option<u32>,
    /// The executable is one of these paths.
    pub executables: Option<Vec<Vec<u8>>>,
    /// All of these match the command line.
    pub command_line: Vec<Pattern>,
    /// None of these matches the name or the command line.
    pub exclude: Vec<Pattern>,
    /// The process is in /proc's own pid namespace, not in a child of it.
    pub is_own_namespace: bool,
}

/// Whether a process meets a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchResult {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Unknown, because the exporter may not read the decisive facts.
    Unknown,
}

impl MatchResult {
    /// Whether both criteria are met.
    pub fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown => match other() {
                Self::No => Self::No,
                Self::Yes | Self::Unknown => Self::Unknown,
            },
        }
    }

    /// The result of a criterion whose facts are known.
    pub fn known(is_met: bool) -> Self {
        if is_met { Self::Yes } else { Self::No }
    }
}

/// Facts about a process that are expensive to read. They are requested last, and only if they decide.
pub trait Facts {
    /// The name; `None` if it can't be read.
    fn name(&mut self) -> Option<&[u8]>;

    /// The effective user; `None` if it may not be read.
    fn user(&mut self) -> Option<u32>;

    /// The executable's path, empty if there is none; `None` if it may not be read.
    fn executable(&mut self) -> Option<&[u8]>;

    /// Whether it is in /proc's own pid namespace; `None` if that may not be read.
    fn is_in_own_namespace(&mut self) -> Option<bool>;
}

impl Criteria {
    /// Whether a process with this command line meets all criteria but `exclude`. The command line is empty if there is none, `None`
    /// if it may not be read.
    pub fn matches(&self, command_line: Option<&[u8]>, facts: &mut impl Facts) -> MatchResult {
        let mut result = MatchResult::Yes;
        for pattern in &self.patterns {
            result = result.and(|| in_texts(pattern, command_line, facts));
        }
        for pattern in &self.command_line {
            result = result.and(|| match command_line {
                Some(text) => MatchResult::known(!text.is_empty() && pattern.is_match(text)),
                None => MatchResult::Unknown,
            });
        }
        if let Some(wanted) = self.user {
            result = result.and(|| match facts.user() {
                Some(user) => MatchResult::known(user == wanted),
                None => MatchResult::Unknown,
            });
        }
        if let Some(wanted) = &self.executables {
            result = result.and(|| match facts.executable() {
                Some(path) => MatchResult::known(executable::is_one_of(path, wanted)),
                None => MatchResult::Unknown,
            });
        }
        if self.is_own_namespace {
            result = result.and(|| {
                facts
                    .is_in_own_namespace()
                    .map_or(MatchResult::Unknown, MatchResult::known)
            });
        }
        result
    }

    /// Whether a process with this command line is excluded.
    pub fn excludes(&self, command_line: Option<&[u8]>, facts: &mut impl Facts) -> MatchResult {
        let mut found = MatchResult::No;
        for pattern in &self.exclude {
            match in_texts(pattern, command_line, facts) {
                MatchResult::Yes => return MatchResult::Yes,
                MatchResult::Unknown => found = MatchResult::Unknown,
                MatchResult::No => {}
            }
        }
        found
    }
}

/// Whether a pattern matches the command line or the name. The name is requested only if it decides.
fn in_texts(pattern: &Pattern, command_line: Option<&[u8]>, facts: &mut impl Facts) -> MatchResult {
    if command_line.is_some_and(|text| pattern.is_match(text)) {
        return MatchResult::Yes;
    }
    match facts.name() {
        Some(name) if pattern.is_match(name) => MatchResult::Yes,
        Some(_) if command_line.is_some() => MatchResult::No,
        _ => MatchResult::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known<'a>(&'a str, Option<u32>, Option<&'a str>);

    impl Facts for Known<'_> {
        fn name(&mut self) -> Option<&[u8]> {
            Some(self.0.as_bytes())
        }

        fn user(&mut self) -> Option<u32> {
            self.1
        }

        fn executable(&mut self) -> Option<&[u8]> {
            self.2.map(str::as_bytes)
        }

        fn is_in_own_namespace(&mut self) -> Option<bool> {
            None
        }
    }

    fn matches(
        criteria: &Criteria,
        name: &str,
        line: Option<&str>,
        user: Option<u32>,
        exe: Option<&str>,
    ) -> MatchResult {
        criteria.matches(line.map(str::as_bytes), &mut Known(name, user, exe))
    }

    fn criteria(patterns: &[&str], user: Option<u32>, exe: Option<&str>) -> Criteria {
        Criteria {
            patterns: patterns.iter().map(|text| Pattern::new(text).unwrap()).collect(),
            user,
            executables: exe.map(|path| vec![path.as_bytes().to_vec()]),
            ..Criteria::default()
        }
    }

    #[test]
    fn every_expression_for_the_command_line_must_match_it() {
        let wanted = Criteria {
            command_line: ["java", "-Dname=a( |$)"]
                .map(|text| Pattern::new(text).unwrap())
                .into(),
            ..Criteria::default()
        };
        assert_eq!(
            matches(&wanted, "x", Some("java -Dname=a -jar b"), None, None),
            MatchResult::Yes
        );
        assert_eq!(
            matches(&wanted, "x", Some("java -Dname=ab"), None, None),
            MatchResult::No
        );
        assert_eq!(
            matches(&wanted, "java -Dname=a", Some(""), None, None),
            MatchResult::No
        );
        assert_eq!(matches(&wanted, "x", None, None, None), MatchResult::Unknown);
    }

    #[test]
    fn exclusion_is_unknown_without_the_command_line() {
        let wanted = Criteria {
            exclude: ["^vi", "less"].map(|text| Pattern::new(text).unwrap()).into(),
            is_own_namespace: true,
            ..Criteria::default()
        };
        let excluded = |name: &str, line: Option<&str>| {
            wanted.excludes(line.map(str::as_bytes), &mut Known(name, None, None))
        };
        assert_eq!(excluded("vim", None), MatchResult::Yes);
        assert_eq!(excluded("x", Some("vi a")), MatchResult::Yes);
        assert_eq!(excluded("x", Some("a less b")), MatchResult::Yes);
        assert_eq!(excluded("x", Some("a vi")), MatchResult::No);
        assert_eq!(excluded("x", None), MatchResult::Unknown);
        assert_eq!(matches(&wanted, "x", Some(""), None, None), MatchResult::Unknown);
    }

    #[test]
    fn a_pattern_matches_the_name_or_the_command_line() {
        let wanted = criteria(&["^nginx"], None, None);
        assert_eq!(matches(&wanted, "nginx", Some(""), None, None), MatchResult::Yes);
        assert_eq!(
            matches(&wanted, "x", Some("nginx: worker"), None, None),
            MatchResult::Yes
        );
        assert_eq!(
            matches(&wanted, "x", Some("vi nginx.conf"), None, None),
            MatchResult::No
        );
        assert_eq!(matches(&wanted, "x", None, None, None), MatchResult::Unknown);
        assert_eq!(matches(&wanted, "nginx", None, None, None), MatchResult::Yes);
    }

    #[test]
    fn all_criteria_must_match_and_one_no_decides() {
        let wanted = criteria(&["a", "b"], Some(7), Some("/bin/x"));
        assert_eq!(
            matches(&wanted, "ab", Some(""), Some(7), Some("/bin/x")),
            MatchResult::Yes
        );
        assert_eq!(
            matches(&wanted, "a", Some(""), Some(7), Some("/bin/x")),
            MatchResult::No
        );
        assert_eq!(
            matches(&wanted, "ab", Some(""), Some(8), Some("/bin/x")),
            MatchResult::No
        );
        assert_eq!(
            matches(&wanted, "ab", Some(""), Some(7), Some("/bin/y")),
            MatchResult::No
        );
        assert_eq!(
            matches(&wanted, "ab", Some(""), Some(7), None),
            MatchResult::Unknown
        );
        assert_eq!(matches(&wanted, "a", None, Some(8), None), MatchResult::No);
        assert_eq!(
            matches(&wanted, "a", None, None, Some("/bin/x")),
            MatchResult::Unknown
        );
    }

    #[test]
    fn an_executable_replaced_by_an_update_still_matches() {
        let wanted = criteria(&[], None, Some("/bin/x"));
        assert_eq!(
            matches(&wanted, "x", Some(""), None, Some("/bin/x (deleted)")),
            MatchResult::Yes
        );
        assert_eq!(
            matches(&wanted, "x", Some(""), None, Some("/bin/xx")),
            MatchResult::No
        );
        assert_eq!(
            matches(&wanted, "kthread", Some(""), None, Some("")),
            MatchResult::No
        );
    }
}
