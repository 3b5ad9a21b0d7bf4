//! Parses the text of a configuration file, or reports all of its errors.

use std::cell::RefCell;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::place::MAX_FINDINGS;
use super::place::{Finding, Place};
use super::root;
use super::settings::Config;
use super::yaml::{self, Mark, Node};

/// The longest file, in bytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// The configuration that is used if no file is given.
pub const EMBEDDED_DEFAULT: &str = include_str!("../../config/default.yml");

/// The advice for an empty file.
pub(super) const IF_EMPTY: &str =
    "add a service, such as services: [{ key: web, url: \"http://127.0.0.1:8080/\" }]";

/// A configuration with its warnings.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The warnings, by position.
    pub warnings: Vec<Diagnostic>,
    /// The number of files.
    pub files: usize,
}

/// Parses a configuration. Errors and warnings show `file_name`.
///
/// # Errors
/// All errors of the configuration.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, ConfigError> {
    parse_bytes(text.as_bytes(), file_name)
}

/// Parses a configuration that may not even be text.
///
/// # Errors
/// All errors of the configuration.
pub fn parse_bytes(bytes: &[u8], file_name: &str) -> Result<Loaded, ConfigError> {
    let (config, warnings) = read_document(bytes, MAX_FILE_BYTES, file_name, IF_EMPTY, root::resolve)?;
    Ok(Loaded {
        config,
        warnings,
        files: 1,
    })
}

/// Reads a document of at most `max_bytes` bytes, which may not even be text, and resolves its tree with `resolve`. Returns
/// warnings as well. `empty` is the advice for an empty file.
///
/// # Errors
/// All errors of the document.
pub fn read_document<T: Default>(
    bytes: &[u8],
    max_bytes: usize,
    file_name: &str,
    empty: &str,
    resolve: impl FnOnce(&Node, &Place<'_>) -> T,
) -> Result<(T, Vec<Diagnostic>), ConfigError> {
    if bytes.len() > max_bytes {
        let max = max_bytes / (1024 * 1024);
        return Err(file_error(
            file_name,
            format_args!("the file is longer than {max} MiB: split it"),
        ));
    }
    let Tree { root, mut found, .. } = parse_tree(bytes, file_name, empty, 0)?;
    let findings = RefCell::default();
    let mut value = T::default();
    if let Some(root) = &root {
        value = resolve(root, &Place::root(&findings));
        let file: Arc<str> = file_name.into();
        let findings = findings.into_inner().into_iter();
        found.extend(findings.map(|finding| locate(finding, root, &file)));
    }
    sort(&mut found);
    let is_cut = found.len() >= MAX_FINDINGS;
    let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(|finding| finding.is_error);
    if errors.is_empty() {
        Ok((value, warnings))
    } else {
        Err(ConfigError { errors, is_cut })
    }
}

/// The tree of a text, with the errors of its YAML.
#[derive(Debug)]
pub(super) struct Tree {
    /// The tree; `None` if the errors prevent parsing the text to its end.
    pub root: Option<Node>,
    /// The errors of the YAML.
    pub found: Vec<Diagnostic>,
    /// The number of values so far, with aliases expanded.
    pub values: usize,
}

/// Parses a text that may not even be text. `values` is the number of values in the other files of the configuration.
///
/// # Errors
/// When it is not UTF-8, or empty.
pub(super) fn parse_tree(
    bytes: &[u8],
    file_name: &str,
    empty: &str,
    values: usize,
) -> Result<Tree, ConfigError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(file_error(file_name, "the file is UTF-16: save it as UTF-8"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let mark = end_of(&bytes[..error.valid_up_to()]);
            let message = "this byte is not UTF-8: save the file as UTF-8";
            return Err(single_error(file_name, mark, message.to_owned()));
        }
    };
    let file: Arc<str> = file_name.into();
    let parsed = yaml::parse_further(text, values);
    let is_yaml = parsed.root.is_some() || parsed.problems.is_empty();
    let found = parsed.problems.into_iter().map(|problem| Diagnostic {
        is_error: true,
        file: file.clone(),
        line: problem.mark.line,
        column: problem.mark.column,
        path: problem.path.to_string(),
        message: problem.message,
    });
    let root = parsed.root.filter(|root| !root.is_null());
    if is_yaml && root.is_none() {
        return Err(file_error(file_name, format_args!("the file is empty: {empty}")));
    }
    Ok(Tree {
        root,
        found: found.collect(),
        values: parsed.values,
    })
}

/// Sorts the findings of a file by position, and removes duplicates.
pub(super) fn sort(found: &mut Vec<Diagnostic>) {
    found.sort_by(|a, b| {
        (a.line, a.column, &a.path, &a.message).cmp(&(b.line, b.column, &b.path, &b.message))
    });
    found.dedup();
}

/// The embedded default. It checks the exporter itself on its default port, and the processes of the machine.
///
/// # Errors
/// Never in a release: a test loads it.
pub fn embedded_default() -> Result<Loaded, ConfigError> {
    parse(EMBEDDED_DEFAULT, "(embedded default)")
}

/// The embedded default for an exporter that listens on this port (10100 if `None`), with more entries of its list `services`.
///
/// # Errors
/// If the entries have errors.
pub fn embedded_default_with(port: Option<u16>, services: &str) -> Result<Loaded, ConfigError> {
    let mut text = EMBEDDED_DEFAULT.to_owned();
    if let Some(port) = port {
        text = text.replace(":10100", &format!(":{port}"));
    }
    // The list is the last part of the file.
    text.push_str(services);
    parse(&text, "(embedded default)")
}

/// Converts a finding to a diagnostic of the file whose tree is `root`.
pub(super) fn locate(finding: Finding, root: &Node, file: &Arc<str>) -> Diagnostic {
    let mark = root.locate(&finding.path, finding.at_key);
    Diagnostic {
        is_error: finding.is_error,
        file: file.clone(),
        line: mark.line,
        column: mark.column,
        path: finding.path.to_string(),
        message: finding.message,
    }
}

/// The position after `bytes`, which must be UTF-8.
fn end_of(bytes: &[u8]) -> Mark {
    let line_start = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |position| position + 1);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let columns = String::from_utf8_lossy(&bytes[line_start..]).chars().count();
    Mark {
        line: u32::try_from(lines + 1).unwrap_or(u32::MAX),
        column: u32::try_from(columns + 1).unwrap_or(u32::MAX),
    }
}

/// An error about the file as a whole.
pub(super) fn file_error(file_name: &str, message: impl std::fmt::Display) -> ConfigError {
    single_error(file_name, Mark::default(), message.to_string())
}

fn single_error(file_name: &str, mark: Mark, message: String) -> ConfigError {
    ConfigError {
        errors: vec![Diagnostic {
            is_error: true,
            file: file_name.into(),
            line: mark.line,
            column: mark.column,
            path: String::new(),
            message,
        }],
        is_cut: false,
    }
}
