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
}

impl Criteria {
    /// Whether all of them hold for a process with this name and command line (empty where there is none, `None` where
    /// it may not be read).
    pub fn hold(&self, name: &[u8], command_line: Option<&[u8]>, facts: &mut impl Facts) -> Holds {
        let mut holds = Holds::Yes;
        for pattern in &self.patterns {
            holds = holds.and(|| in_texts(pattern, name, command_line));
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
        holds
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
        }
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
