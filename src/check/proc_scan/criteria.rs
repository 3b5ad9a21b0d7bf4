//! What a process is looked for by.

use crate::config::pattern::Pattern;

/// Which processes are wanted: those for which everything given here holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criteria {
    /// Each is found in the name or in the command line (arguments separated by spaces).
    pub patterns: Vec<Pattern>,
    /// The effective user.
    pub user: Option<u32>,
    /// The executable is one of these paths.
    pub executables: Option<Vec<Vec<u8>>>,
    /// Each is found in the command line.
    pub command_line: Vec<Pattern>,
    /// None is found in the name or in the command line.
    pub exclude: Vec<Pattern>,
    /// The process is in the pid namespace that /proc belongs to, not in one below it.
    pub is_own_namespace: bool,
}

/// Whether something holds for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It can't be told, since what decides it may not be read.
    Unknown,
}

impl Holds {
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown => match other() {
                Self::No => Self::No,
                Self::Yes | Self::Unknown => Self::Unknown,
            },
        }
    }

    fn known(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// What costs more to read about a process: asked for last, and only where it decides.
pub trait Facts {
    /// The effective user; `None` where it may not be read.
    fn user(&mut self) -> Option<u32>;

    /// The executable's path, empty where there is none; `None` where it may not be read.
    fn executable(&mut self) -> Option<&[u8]>;

    /// Whether it is in the pid namespace that /proc belongs to; `None` where that may not be read.
    fn is_in_own_namespace(&mut self) -> Option<bool>;
}

impl Criteria {
    /// Whether all that is looked for holds for a process with this name and command line (empty where there is none,
    /// `None` where it may not be read). What is excluded is not asked.
    pub fn hold(&self, name: &[u8], command_line: Option<&[u8]>, facts: &mut impl Facts) -> Holds {
        let mut holds = Holds::Yes;
        for pattern in &self.patterns {
            holds = holds.and(|| in_texts(pattern, name, command_line));
        }
        for pattern in &self.command_line {
            holds = holds.and(|| match command_line {
                Some(text) => Holds::known(!text.is_empty() && pattern.is_match(text)),
                None => Holds::Unknown,
            });
        }
        if let Some(wanted) = self.user {
            holds = holds.and(|| match facts.user() {
                Some(user) => Holds::known(user == wanted),
                None => Holds::Unknown,
            });
        }
        if let Some(wanted) = &self.executables {
            holds = holds.and(|| match facts.executable() {
                Some(path) => Holds::known(wanted.iter().any(|one| is_executable(path, one))),
                None => Holds::Unknown,
            });
        }
        if self.is_own_namespace {
            holds = holds.and(|| facts.is_in_own_namespace().map_or(Holds::Unknown, Holds::known));
        }
        holds
    }

    /// Whether a process with this name and command line is left out.
    pub fn exclude(&self, name: &[u8], command_line: Option<&[u8]>) -> Holds {
        let mut found = Holds::No;
        for pattern in &self.exclude {
            match in_texts(pattern, name, command_line) {
                Holds::Yes => return Holds::Yes,
                Holds::Unknown => found = Holds::Unknown,
                Holds::No => {}
            }
        }
        found
    }
}

fn in_texts(pattern: &Pattern, name: &[u8], command_line: Option<&[u8]>) -> Holds {
    match command_line {
        _ if pattern.is_match(name) => Holds::Yes,
        Some(text) => Holds::known(pattern.is_match(text)),
        None => Holds::Unknown,
    }
}

/// Whether /proc's `link` is to `wanted`; the kernel appends a remark when the file was since replaced by an update.
fn is_executable(link: &[u8], wanted: &[u8]) -> bool {
    link == wanted || link.strip_suffix(b" (deleted)") == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known<'a>(Option<u32>, Option<&'a str>);

    impl Facts for Known<'_> {
        fn user(&mut self) -> Option<u32> {
            self.0
        }

        fn executable(&mut self) -> Option<&[u8]> {
            self.1.map(str::as_bytes)
        }

        fn is_in_own_namespace(&mut self) -> Option<bool> {
            None
        }
    }

    fn hold(
        criteria: &Criteria,
        name: &str,
        line: Option<&str>,
        user: Option<u32>,
        exe: Option<&str>,
    ) -> Holds {
        criteria.hold(name.as_bytes(), line.map(str::as_bytes), &mut Known(user, exe))
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
    fn every_expression_for_the_command_line_must_hold_there() {
        let wanted = Criteria {
            command_line: ["java", "-Dname=a( |$)"]
                .map(|text| Pattern::new(text).unwrap())
                .into(),
            ..Criteria::default()
        };
        assert_eq!(
            hold(&wanted, "x", Some("java -Dname=a -jar b"), None, None),
            Holds::Yes
        );
        assert_eq!(hold(&wanted, "x", Some("java -Dname=ab"), None, None), Holds::No);
        assert_eq!(hold(&wanted, "java -Dname=a", Some(""), None, None), Holds::No);
        assert_eq!(hold(&wanted, "x", None, None, None), Holds::Unknown);
    }

    #[test]
    fn what_is_excluded_is_known_only_with_the_command_line() {
        let wanted = Criteria {
            exclude: ["^vi", "less"].map(|text| Pattern::new(text).unwrap()).into(),
            is_own_namespace: true,
            ..Criteria::default()
        };
        let excluded =
            |name: &str, line: Option<&str>| wanted.exclude(name.as_bytes(), line.map(str::as_bytes));
        assert_eq!(excluded("vim", None), Holds::Yes);
        assert_eq!(excluded("x", Some("vi a")), Holds::Yes);
        assert_eq!(excluded("x", Some("a less b")), Holds::Yes);
        assert_eq!(excluded("x", Some("a vi")), Holds::No);
        assert_eq!(excluded("x", None), Holds::Unknown);
        assert_eq!(hold(&wanted, "x", Some(""), None, None), Holds::Unknown);
    }

    #[test]
    fn a_pattern_holds_in_the_name_or_in_the_command_line() {
        let wanted = criteria(&["^nginx"], None, None);
        assert_eq!(hold(&wanted, "nginx", Some(""), None, None), Holds::Yes);
        assert_eq!(hold(&wanted, "x", Some("nginx: worker"), None, None), Holds::Yes);
        assert_eq!(hold(&wanted, "x", Some("vi nginx.conf"), None, None), Holds::No);
        assert_eq!(hold(&wanted, "x", None, None, None), Holds::Unknown);
        assert_eq!(hold(&wanted, "nginx", None, None, None), Holds::Yes);
    }

    #[test]
    fn all_criteria_must_hold_and_a_certain_no_decides() {
        let wanted = criteria(&["a", "b"], Some(7), Some("/bin/x"));
        assert_eq!(hold(&wanted, "ab", Some(""), Some(7), Some("/bin/x")), Holds::Yes);
        assert_eq!(hold(&wanted, "a", Some(""), Some(7), Some("/bin/x")), Holds::No);
        assert_eq!(hold(&wanted, "ab", Some(""), Some(8), Some("/bin/x")), Holds::No);
        assert_eq!(hold(&wanted, "ab", Some(""), Some(7), Some("/bin/y")), Holds::No);
        assert_eq!(hold(&wanted, "ab", Some(""), Some(7), None), Holds::Unknown);
        assert_eq!(hold(&wanted, "a", None, Some(8), None), Holds::No);
        assert_eq!(hold(&wanted, "a", None, None, Some("/bin/x")), Holds::Unknown);
    }

    #[test]
    fn an_executable_replaced_by_an_update_still_counts() {
        let wanted = criteria(&[], None, Some("/bin/x"));
        assert_eq!(
            hold(&wanted, "x", Some(""), None, Some("/bin/x (deleted)")),
            Holds::Yes
        );
        assert_eq!(hold(&wanted, "x", Some(""), None, Some("/bin/xx")), Holds::No);
        assert_eq!(hold(&wanted, "kthread", Some(""), None, Some("")), Holds::No);
    }
}
