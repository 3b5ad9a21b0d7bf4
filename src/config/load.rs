//! From a file to a configuration, or to everything that is wrong with it.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use std::sync::Arc;

use super::findings::{ConfigError, Located};
use super::pattern_cache::Compilation;
use super::place::{Finding, Place};
use super::root;
use super::services::MAX_FINDINGS;
use super::settings::Config;
use super::yaml::{self, Mark, Node};

/// The longest file, in bytes.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// The configuration that is used where no file is given.
pub const EMBEDDED_DEFAULT: &str = include_str!("../../config/default.yml");

/// A configuration, with what its author should know nevertheless.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Remarks, by position.
    pub remarks: Vec<Located>,
}

/// Loads a file. This reads the file and the secret files that it names, so it may block.
///
/// # Errors
/// When the file can't be read, or anything in it is wrong: then all that is.
pub fn load(path: &FilePath) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => parse_bytes(&bytes, &name),
        Err(error) => Err(whole(
            &name,
            format_args!("reading the configuration file: {error}"),
        )),
    }
}

/// Parses a configuration; `file_name` stands in the findings.
///
/// # Errors
/// All that is wrong.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, ConfigError> {
    parse_bytes(text.as_bytes(), file_name)
}

/// Parses a configuration that need not even be text.
///
/// # Errors
/// All that is wrong.
pub fn parse_bytes(bytes: &[u8], file_name: &str) -> Result<Loaded, ConfigError> {
    let empty = "write what to watch, such as services: [{ key: web, url: \"http://127.0.0.1:8080/\" }]";
    let _compilation = Compilation::begin();
    let (config, remarks) = read_document(bytes, MAX_FILE_BYTES, file_name, empty, root::resolve)?;
    Ok(Loaded { config, remarks })
}

/// Reads a document of at most `most_bytes` bytes that need not even be text: `resolve` makes something of its tree,
/// with remarks. `empty` says what to write into an empty file.
///
/// # Errors
/// All that is wrong.
pub fn read_document<T: Default>(
    bytes: &[u8],
    most_bytes: usize,
    file_name: &str,
    empty: &str,
    resolve: impl FnOnce(&Node, &Place<'_>) -> T,
) -> Result<(T, Vec<Located>), ConfigError> {
    if bytes.len() > most_bytes {
        let most = most_bytes / (1024 * 1024);
        return Err(whole(
            file_name,
            format_args!("the file is longer than {most} MB: split it"),
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(whole(file_name, "the file is UTF-16: save it as UTF-8"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let mark = end_of(&bytes[..error.valid_up_to()]);
            let message = "this byte is not UTF-8: save the file as UTF-8";
            return Err(one(file_name, mark, message.to_owned()));
        }
    };
    examine(text, file_name, empty, resolve)
}

/// The embedded default: it watches the exporter itself on its default port, and the processes of the machine.
///
/// # Errors
/// None that a release can have: a test loads it.
pub fn embedded_default() -> Result<Loaded, ConfigError> {
    parse(EMBEDDED_DEFAULT, "(embedded default)")
}

/// The embedded default for an exporter that listens on another port than 10100.
///
/// # Errors
/// As for [`embedded_default`].
pub fn embedded_default_on(port: u16) -> Result<Loaded, ConfigError> {
    let text = EMBEDDED_DEFAULT.replace(":10100", &format!(":{port}"));
    parse(&text, "(embedded default)")
}

fn examine<T: Default>(
    text: &str,
    file_name: &str,
    empty: &str,
    resolve: impl FnOnce(&Node, &Place<'_>) -> T,
) -> Result<(T, Vec<Located>), ConfigError> {
    let file: Arc<str> = file_name.into();
    let (root, problems) = yaml::parse(text);
    let is_yaml = root.is_some() || problems.is_empty();
    let mut found: Vec<Located> = problems
        .into_iter()
        .map(|problem| Located {
            is_error: true,
            file: file.clone(),
            line: problem.mark.line,
            column: problem.mark.column,
            path: problem.path.to_string(),
            message: problem.message,
        })
        .collect();
    let root = root.filter(|root| !root.is_null());
    if is_yaml && root.is_none() {
        return Err(whole(file_name, format_args!("the file is empty: {empty}")));
    }
    let findings = RefCell::default();
    let mut value = T::default();
    if let Some(root) = &root {
        value = resolve(root, &Place::root(&findings));
        found.extend(
            findings
                .into_inner()
                .into_iter()
                .map(|finding| located(finding, root, &file)),
        );
    }
    found.sort_by(|a, b| {
        (a.line, a.column, &a.path, &a.message).cmp(&(b.line, b.column, &b.path, &b.message))
    });
    found.dedup();
    let is_cut = found.len() >= MAX_FINDINGS;
    let (errors, remarks): (Vec<_>, Vec<_>) = found.into_iter().partition(|finding| finding.is_error);
    if errors.is_empty() {
        Ok((value, remarks))
    } else {
        Err(ConfigError { errors, is_cut })
    }
}

fn located(finding: Finding, root: &Node, file: &Arc<str>) -> Located {
    let mark = root.locate(&finding.path, finding.at_key);
    Located {
        is_error: finding.is_error,
        file: file.clone(),
        line: mark.line,
        column: mark.column,
        path: finding.path.to_string(),
        message: finding.message,
    }
}

/// The position after `bytes`, which are UTF-8.
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

fn whole(file_name: &str, message: impl std::fmt::Display) -> ConfigError {
    one(file_name, Mark::default(), message.to_string())
}

fn one(file_name: &str, mark: Mark, message: String) -> ConfigError {
    ConfigError {
        errors: vec![Located {
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
