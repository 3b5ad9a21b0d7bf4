//! Loads a configuration file of process-exporter.

use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use std::rc::Rc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::load::read_document;
use super::place::Place;
use super::process_groups::{NamingRule, NamingRuleOptions, resolve_rules};
use super::yaml::{Node, Value, fields, read};

/// The longest file, in bytes.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The only key at the top of such a file.
const PROCESS_NAMES: &str = "process_names";

/// Loads a file. Returns its rules and warnings.
///
/// # Errors
/// When the file can't be read, or all errors of its content.
pub fn load(path: &FilePath) -> Result<(Vec<NamingRule>, Vec<Diagnostic>), ConfigError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => parse(&bytes, &name),
        Err(error) => Err(unreadable(&name, &error)),
    }
}

fn unreadable(file_name: &str, error: &std::io::Error) -> ConfigError {
    let diagnostic = Diagnostic {
        is_error: true,
        file: file_name.into(),
        line: 0,
        column: 0,
        path: String::new(),
        message: format!("reading the file of process names: {error}"),
    };
    ConfigError {
        errors: vec![diagnostic],
        is_cut: false,
    }
}

/// Parses the content of a file. Errors and warnings show `file_name`.
///
/// # Errors
/// All errors of the content.
pub fn parse(bytes: &[u8], file_name: &str) -> Result<(Vec<NamingRule>, Vec<Diagnostic>), ConfigError> {
    let empty = "add a rule, such as process_names: [{ name: \"{{.Comm}}\", cmdline: [\".+\"] }]";
    read_document(bytes, MAX_FILE_BYTES, file_name, empty, resolve)
}

fn resolve(root: &Node, place: &Place<'_>) -> Vec<NamingRule> {
    let root = keep_known(root, place, &[PROCESS_NAMES]);
    if root.entries().is_none() {
        place.error(format_args!(
            "expected a mapping with process_names, found {}",
            root.describe()
        ));
        return Vec::new();
    }
    let place = place.field(PROCESS_NAMES);
    let Some(list) = root.get(PROCESS_NAMES).filter(|list| !list.is_null()) else {
        place.warn("there are no rules, so there are no groups: add one");
        return Vec::new();
    };
    let list = match list.items() {
        Some(items) => {
            let items = items.iter().enumerate();
            let items = items
                .map(|(index, item)| keep_known(item, &place.index(index), fields::<NamingRuleOptions>()));
            Node::new(list.mark, Value::List(Rc::new(items.collect())))
        }
        None => list.clone(),
    };
    resolve_rules(read(&list, &place), &place).unwrap_or_default()
}

/// Removes unknown keys from a mapping, with a warning, because process-exporter ignores them.
fn keep_known(node: &Node, place: &Place<'_>, known: &[&str]) -> Node {
    let Some(entries) = node.entries() else {
        return node.clone();
    };
    let mut kept = Vec::new();
    for entry in entries {
        match known.contains(&&*entry.key) {
            true => kept.push(entry.clone()),
            false => place.field(&entry.key).warn_at_key(
                "unknown key, which is ignored, as in process-exporter: remove it or correct its name",
            ),
        }
    }
    Node::new(node.mark, Value::Map(Rc::new(kept)))
}
