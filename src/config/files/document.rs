//! One file of a configuration as a tree, and the errors that do not depend on other files.

use std::cell::RefCell;
use std::sync::Arc;

use crate::config::diagnostic::Diagnostic;
use crate::config::load::{self, IF_EMPTY, Tree};
use crate::config::options::RootOptions;
use crate::config::place::{Finding, Place};
use crate::config::redact;
use crate::config::root;
use crate::config::yaml::{Node, Value, fields};

/// The keys whose values are combined, if several files have them.
const COMBINED_KEYS: [&str; 3] = ["services", "maintenance", "modules"];

/// The global keys that can forbid healing or probes.
const LIMITING_KEYS: [&str; 3] = ["defaults", "tiers", "probe"];

/// The keys that only one file of a configuration may have: all others. They are about the services of all files.
pub fn all_global_keys() -> impl Iterator<Item = &'static str> {
    let keys = fields::<RootOptions>().iter().copied();
    keys.filter(|key| !COMBINED_KEYS.contains(key))
}

/// A file as a tree.
#[derive(Debug)]
pub struct Document {
    /// The tree as written. Positions refer to it.
    root: Option<Node>,
    /// The sections in this exporter's format; `None` if the errors prevent reading the file.
    sections: Option<Node>,
    /// Whether it has unknown keys: one of them may be a misspelt key that forbids something.
    has_unknown: bool,
    /// The errors and warnings of this file alone.
    pub found: Vec<Diagnostic>,
}

impl Document {
    /// Parses a file. `values` counts the values of all files.
    pub fn parse(bytes: &[u8], name: &Arc<str>, values: &mut usize) -> Self {
        let parsed = match load::parse_tree(bytes, name, IF_EMPTY, *values) {
            Ok(parsed) => parsed,
            Err(error) => {
                return Self {
                    root: None,
                    sections: None,
                    has_unknown: false,
                    found: error.errors,
                };
            }
        };
        let Tree { root, mut found, .. } = parsed;
        *values = parsed.values;
        let findings = RefCell::default();
        let sections = root
            .as_ref()
            .and_then(|root| root::sections(root, &Place::root(&findings)));
        let has_unknown = sections.as_ref().is_some_and(|(_, unknown)| *unknown > 0);
        let sections = sections.map(|(sections, _)| sections);
        if let Some(sections) = &sections {
            check_types(sections, &Place::root(&findings));
        }
        if let Some(root) = &root {
            let findings = findings.into_inner().into_iter();
            found.extend(findings.map(|finding| load::locate(finding, root, name)));
        }
        Self {
            root,
            sections,
            has_unknown,
            found,
        }
    }

    /// Whether its sections can be read.
    pub fn is_readable(&self) -> bool {
        self.sections.is_some()
    }

    /// The value of a section, unless it is empty.
    pub fn section(&self, key: &str) -> Option<&Node> {
        let section = self.sections.as_ref()?.get(key)?;
        (!section.is_null()).then_some(section)
    }

    /// The global keys of the file.
    pub fn global_keys(&self) -> impl Iterator<Item = &'static str> {
        all_global_keys().filter(|key| self.section(key).is_some())
    }

    /// Whether the file may have a key that forbids something.
    pub fn has_limits(&self) -> bool {
        self.has_unknown || LIMITING_KEYS.iter().any(|key| self.section(key).is_some())
    }

    /// The file without secrets, for `/config`. Ends after about `max_bytes` bytes.
    pub fn shown(&self, max_bytes: usize) -> String {
        match &self.root {
            Some(root) => redact::to_yaml_within(root, max_bytes).trim_start().to_owned(),
            None => String::new(),
        }
    }

    /// A finding as a diagnostic of this file.
    pub fn locate(&self, finding: Finding, name: &Arc<str>) -> Option<Diagnostic> {
        Some(load::locate(finding, self.root.as_ref()?, name))
    }
}

/// Reports sections that can't be combined with those of other files.
fn check_types(sections: &Node, place: &Place<'_>) {
    for (key, expected) in [
        ("services", "a list of services"),
        ("maintenance", "a list of maintenance windows"),
        ("modules", "a mapping of modules by name"),
    ] {
        let Some(section) = sections.get(key).filter(|section| !section.is_null()) else {
            continue;
        };
        let fits = match key {
            "modules" => section.entries().is_some(),
            _ => section.items().is_some(),
        };
        if !fits && !matches!(section.value, Value::Pruned) {
            place
                .field(key)
                .error(format_args!("expected {expected}, found {}", section.describe()));
        }
    }
}

/// Whether the text of a file that can't be parsed may have a key that forbids something.
pub fn may_have_limits(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return true;
    };
    LIMITING_KEYS.into_iter().any(|key| {
        text.match_indices(key).any(|(position, _)| {
            let is_word =
                |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
            let after = text[position + key.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
            !text[..position].ends_with(is_word) && after.starts_with(':')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_keys_are_found_in_broken_texts() {
        for text in [
            "defaults: {",
            "{ \"probe\" : [",
            "  'tiers':\n",
            "probe:\n  allow: [",
        ] {
            assert!(may_have_limits(text.as_bytes()), "{text}");
        }
        assert!(may_have_limits(b"\xff"));
        for text in [
            "modules: { m: { prober: http",
            "services: [ # no probe",
            "my_defaults: [",
            "",
        ] {
            assert!(!may_have_limits(text.as_bytes()), "{text}");
        }
    }
}
