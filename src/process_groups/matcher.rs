//! Compares processes with the rules.

use std::collections::BTreeMap;

use crate::config::budget::{Budget, Exhausted};
use crate::config::process_groups::template::Attributes;
use crate::config::process_groups::{Executable, NamingRule};

/// The longest name of a group, in bytes. Names contain texts that processes choose.
const MAX_NAME_BYTES: usize = 1024;

/// The texts of a process that rules compare.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// The name.
    pub comm: &'a [u8],
    /// The arguments, separated by spaces; `None` if there are none, as for kernel threads.
    pub command_line: Option<&'a [u8]>,
    /// The first argument.
    pub first_argument: &'a [u8],
}

/// The rule that names a process, and what it captured.
#[derive(Debug)]
pub struct Match<'r> {
    /// The rule.
    pub rule: &'r NamingRule,
    captures: BTreeMap<String, String>,
}

/// Finds the first rule that matches.
///
/// # Errors
/// When the budget is exhausted.
pub fn find<'r>(
    rules: &'r [NamingRule],
    texts: Texts<'_>,
    budget: &Budget,
) -> Result<Option<Match<'r>>, Exhausted> {
    for rule in rules {
        if let Some(captures) = captures(rule, texts, budget)? {
            return Ok(Some(Match { rule, captures }));
        }
    }
    Ok(None)
}

/// The named groups if the rule matches.
fn captures(
    rule: &NamingRule,
    texts: Texts<'_>,
    budget: &Budget,
) -> Result<Option<BTreeMap<String, String>>, Exhausted> {
    let mut captured = BTreeMap::new();
    if rule
        .comms
        .as_ref()
        .is_some_and(|names| !names.contains(texts.comm))
    {
        return Ok(None);
    }
    if let Some(executables) = &rule.exes {
        let is_found = texts.command_line.is_some()
            && (executables.contains(&Executable::Full(texts.first_argument.to_vec()))
                || executables.contains(&Executable::Base(base(texts.first_argument).to_vec())));
        if !is_found {
            return Ok(None);
        }
    }
    for pattern in rule.cmdline.iter().flatten() {
        let line = texts.command_line.unwrap_or_default();
        let Some(groups) = pattern.captures(line, budget)? else {
            return Ok(None);
        };
        for (name, text) in groups.named() {
            captured.insert(name.to_owned(), String::from_utf8_lossy(text).into_owned());
        }
    }
    Ok(Some(captured))
}

impl Match<'_> {
    /// The name of the process's group. `read` sets the attributes that are expensive to read, if the rule uses them.
    pub fn name(self, texts: Texts<'_>, read: impl FnOnce(&NamingRule, &mut Attributes)) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (full, base) = match texts.command_line {
            Some(_) => (texts.first_argument, base(texts.first_argument)),
            None => (texts.comm, texts.comm),
        };
        let mut attributes = Attributes {
            comm: text(texts.comm),
            exe_base: text(base),
            exe_full: text(full),
            matches: self.captures,
            ..Attributes::default()
        };
        read(self.rule, &mut attributes);
        let mut name = self.rule.name.render(&attributes);
        let ends = 0..=MAX_NAME_BYTES.min(name.len());
        let end = ends.rev().find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
        name
    }
}

/// The last part of a path, as Go's `filepath.Base` returns it.
fn base(path: &[u8]) -> &[u8] {
    let Some(end) = path.iter().rposition(|&byte| byte != b'/') else {
        return if path.is_empty() { b"." } else { b"/" };
    };
    let start = path[..end]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    &path[start..=end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::process_names_file::parse;

    /// The name of a process with this name and these arguments.
    fn name_of(rules: &str, comm: &str, arguments: &[&str]) -> Option<String> {
        let (rules, _) = match parse(format!("process_names:\n{rules}").as_bytes(), "x") {
            Ok(loaded) => loaded,
            Err(error) => panic!("{error}"),
        };
        let line = arguments.join(" ").into_bytes();
        let texts = Texts {
            comm: comm.as_bytes(),
            command_line: (!arguments.is_empty()).then_some(&line),
            first_argument: arguments.first().map_or(b"", |first| first.as_bytes()),
        };
        let found = find(&rules, texts, &Budget::ample()).ok().flatten()?;
        Some(found.name(texts, |_, attributes| attributes.pid = 7))
    }

    #[test]
    fn the_first_matching_rule_names_a_process() {
        let rules = "- comm: [bash, zsh]\n\
            - exe: [postgres, /usr/local/bin/prometheus]\n\
            - { name: '{{.ExeFull}}:{{.Matches.Port}}', exe: [java], cmdline: ['-p\\s+(?P<Port>\\d+)', 'run'] }\n\
            - { name: 'rest {{.Comm}}/{{.PID}}', cmdline: ['.+'] }\n";
        for (comm, arguments, name) in [
            ("bash", &["-bash"][..], Some("-bash")),
            ("x", &["/opt/postgres", "-D"], Some("postgres")),
            ("x", &["/usr/local/bin/prometheus"], Some("prometheus")),
            ("x", &["/usr/bin/prometheus"], Some("rest x/7")),
            ("x", &["java", "-p", "80", "run"], Some("java:80")),
            ("x", &["java", "-p", "80"], Some("rest x/7")),
            ("kthreadd", &[], None),
        ] {
            assert_eq!(
                name_of(rules, comm, arguments).as_deref(),
                name,
                "{comm} {arguments:?}"
            );
        }
    }

    #[test]
    fn kernel_threads_have_names_and_an_empty_command_line() {
        assert_eq!(
            name_of("- comm: [kthreadd]", "kthreadd", &[]).as_deref(),
            Some("kthreadd")
        );
        assert_eq!(
            name_of("- cmdline: ['^$']", "kthreadd", &[]).as_deref(),
            Some("kthreadd")
        );
        assert_eq!(name_of("- exe: [kthreadd]", "kthreadd", &[]), None);
    }

    #[test]
    fn empty_lists_are_those_of_process_exporter() {
        assert_eq!(name_of("- cmdline: []", "a", &["b"]).as_deref(), Some("b"));
        assert_eq!(name_of("- comm: []", "a", &["b"]), None);
    }

    #[test]
    fn names_are_cut() {
        let long = "é".repeat(2000);
        let name = name_of("- cmdline: ['.']", "a", &[&long]).unwrap_or_default();
        assert_eq!(name.len(), MAX_NAME_BYTES);
    }

    #[test]
    fn the_last_part_of_a_path_is_that_of_go() {
        for (path, expected) in [("/a/b", "b"), ("a", "a"), ("", "."), ("//", "/"), ("/a/b//", "b")] {
            assert_eq!(base(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }
}
