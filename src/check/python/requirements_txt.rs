//! Requirement files of pip: continuations, comments, options, URLs and paths (pip's documentation, "Requirements File Format").

mod options;

use std::borrow::Cow;
use std::str::FromStr;

use pep440_rs::Version;

use self::options::{IGNORED, IGNORED_WITH_VALUE, split_option, split_words};
use super::direct_url::split_vcs;
use super::marker::Marker;
use super::name::Name;
use super::requirement::{Requirement, parse_extras, split_url};

/// The maximum number of lines with content. Each one takes memory.
const MAX_LINES: usize = 50_000;

/// One line with content.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The number of its first line, counted from 1.
    pub number: usize,
    /// What it says, or what is wrong with it.
    pub item: Result<Item, String>,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A requirement in the form of PEP 508.
    Requirement(Box<Requirement>),
    /// A URL or a path without a name before it.
    Link(Box<Link>),
    /// `-r FILE`: the requirements of another file.
    Include(String),
    /// `-c FILE`: versions for packages that are required elsewhere.
    Constraints(String),
}

/// A URL or a path that is required.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The URL or path as written, without extras and marker.
    pub url: String,
    /// The name, from `#egg=` or the name of an archive.
    pub name: Option<Name>,
    /// The version, from the name of a wheel.
    pub version: Option<Version>,
    /// The extras.
    pub extras: Vec<Name>,
    /// Whether it follows `-e`.
    pub is_editable: bool,
    /// When it applies.
    pub marker: Option<Marker>,
}

const ARCHIVES: &[&str] = &[
    ".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar",
];

/// Decodes a file: UTF-8, or UTF-16 with a byte order mark, which PowerShell writes.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let units = |read: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes[2..]
            .chunks_exact(2)
            .map(|pair| read([pair[0], pair[1]]))
            .collect()
    };
    let decoded = match bytes.get(..2) {
        Some([0xff, 0xfe]) => String::from_utf16(&units(u16::from_le_bytes)).ok(),
        Some([0xfe, 0xff]) => String::from_utf16(&units(u16::from_be_bytes)).ok(),
        _ => match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => String::from_utf8(rest.to_vec()).ok(),
            None => String::from_utf8(bytes).ok(),
        },
    };
    decoded.ok_or_else(|| "it is not UTF-8 or UTF-16 text".to_owned())
}

/// Parses a file.
///
/// # Errors
/// If it has too many lines.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (number, text) in join(text) {
        let text = strip_comment(&text);
        if text.is_empty() {
            continue;
        }
        if lines.len() >= MAX_LINES {
            return Err(format!("it has more than {MAX_LINES} requirements"));
        }
        match parse_line(text) {
            Ok(items) => lines.extend(items.into_iter().map(|item| Line {
                number,
                item: Ok(item),
            })),
            Err(error) => lines.push(Line {
                number,
                item: Err(error),
            }),
        }
    }
    Ok(lines)
}

/// Joins lines that end in a backslash, as pip does: a comment ends the continuation.
fn join(text: &str) -> impl Iterator<Item = (usize, Cow<'_, str>)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (start, first) = lines.next()?;
        if !first.ends_with('\\') || is_comment(first) {
            return Some((start + 1, Cow::Borrowed(first)));
        }
        let mut joined = first.trim_end_matches('\\').to_owned();
        for (_, line) in lines.by_ref() {
            if is_comment(line) {
                joined.push(' ');
            }
            if !line.ends_with('\\') || is_comment(line) {
                joined.push_str(line);
                break;
            }
            joined.push_str(line.trim_end_matches('\\'));
        }
        Some((start + 1, Cow::Owned(joined)))
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Removes a comment. It starts at the line's start or after a space, because URLs have `#` as well.
fn strip_comment(line: &str) -> &str {
    let end = line.char_indices().find(|(at, character)| {
        *character == '#' && line[..*at].chars().next_back().is_none_or(char::is_whitespace)
    });
    line[..end.map_or(line.len(), |(at, _)| at)].trim()
}

fn parse_line(line: &str) -> Result<Vec<Item>, String> {
    if !line.starts_with('-') {
        // Options such as --hash follow the requirement.
        let mut is_after_space = false;
        let end = line.char_indices().find(|(_, character)| {
            let is_option = *character == '-' && is_after_space;
            is_after_space = character.is_whitespace();
            is_option
        });
        let text = line[..end.map_or(line.len(), |(at, _)| at)].trim();
        return Ok(vec![parse_required(text)?]);
    }
    let words = split_words(line)?;
    // pip ignores words that belong to no option.
    let mut words = words.iter().map(String::as_str);
    let mut items = Vec::new();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            continue;
        }
        let (option, value) = split_option(word);
        if IGNORED.contains(&option) && value.is_none() {
            continue;
        }
        let Some(make) = option_item(option) else {
            return Err(format!("the option {option} is not known"));
        };
        let value = match value {
            Some(value) => value,
            None => words
                .next()
                .ok_or_else(|| format!("the option {option} has no value"))?,
        };
        items.extend(make(value)?);
    }
    Ok(items)
}

type MakeItem = fn(&str) -> Result<Option<Item>, String>;

/// What an option with a value becomes.
fn option_item(option: &str) -> Option<MakeItem> {
    match option {
        "-r" | "--requirement" => Some(|value| Ok(Some(Item::Include(value.to_owned())))),
        "-c" | "--constraint" => Some(|value| Ok(Some(Item::Constraints(value.to_owned())))),
        "-e" | "--editable" => Some(|value| parse_editable(value).map(Some)),
        _ if IGNORED_WITH_VALUE.contains(&option) => Some(|_| Ok(None)),
        _ => None,
    }
}

fn parse_editable(text: &str) -> Result<Item, String> {
    if !is_link(text)
        && let Ok(requirement) = Requirement::parse(text)
        && let Some(url) = requirement.url
    {
        return Ok(Item::Link(Box::new(Link {
            url,
            name: Some(requirement.name),
            version: None,
            extras: requirement.extras,
            is_editable: true,
            marker: requirement.marker,
        })));
    }
    parse_link(text, true)
}

fn parse_required(text: &str) -> Result<Item, String> {
    if is_link(text) {
        return parse_link(text, false);
    }
    Requirement::parse(text)
        .map(|requirement| Item::Requirement(Box::new(requirement)))
        .map_err(|error| match text.contains("${") {
            true => format!("{error}; the exporter does not expand variables of the environment"),
            false => error,
        })
}

/// Whether pip reads it as a URL or a path: it has a scheme, a directory, a leading dot, or is an archive.
fn is_link(text: &str) -> bool {
    let before_marker = text.split(';').next().unwrap_or(text).trim();
    let scheme = before_marker
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let has_scheme = before_marker.contains(':')
        && (matches!(scheme.as_str(), "http" | "https" | "file" | "ftp") || split_vcs(&scheme).is_some());
    let before_url = before_marker.split('@').next().unwrap_or_default();
    has_scheme
        || before_url.starts_with('.')
        || before_url.contains('/')
        || (!before_marker.contains('@') && ARCHIVES.iter().any(|suffix| before_marker.ends_with(suffix)))
}

fn parse_link(text: &str, is_editable: bool) -> Result<Item, String> {
    let (address, marker) = match split_vcs(text).is_some() || text.contains("://") {
        true => split_url(text),
        false => text
            .split_once(';')
            .map_or((text, None), |(path, marker)| (path, Some(marker))),
    };
    let address = address.trim();
    let (path, fragment) = address.split_once('#').unwrap_or((address, ""));
    // `./path[extra]`; in a URL, the extras are in `#egg=name[extra]`.
    let (path, mut extras) = match path.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((before, list)) => (before, parse_extras(&format!("[{list}]"))?.0),
        None => (path, Vec::new()),
    };
    let egg = fragment.split('&').find_map(|part| part.strip_prefix("egg="));
    let (mut name, mut version) = archive_name(path);
    if let Some(egg) = egg {
        let end = egg.find('[').unwrap_or(egg.len());
        // The egg may be `name==1.0`, which pip calls deprecated.
        let written = egg[..end].split("==").next().unwrap_or_default();
        name = Name::parse(written);
        extras.extend(parse_extras(&egg[end..])?.0);
        version = None;
    }
    let url = match fragment.is_empty() {
        true => path.to_owned(),
        false => format!("{path}#{fragment}"),
    };
    Ok(Item::Link(Box::new(Link {
        url,
        name,
        version,
        extras,
        is_editable,
        marker: marker.map(Marker::parse).transpose()?,
    })))
}

/// The name and version in the name of an archive. Only those of wheels are reliable; a source archive gives its name.
fn archive_name(path: &str) -> (Option<Name>, Option<Version>) {
    let file_name = path
        .split('?')
        .next()
        .unwrap_or(path)
        .rsplit('/')
        .next()
        .unwrap_or(path);
    if let Some(stem) = file_name.strip_suffix(".whl") {
        let mut parts = stem.split('-');
        let name = parts.next().and_then(Name::parse);
        let version = parts
            .next()
            .and_then(|text| Version::from_str(&text.replace("%2B", "+")).ok());
        return (name, version);
    }
    let stem = ARCHIVES.iter().find_map(|suffix| file_name.strip_suffix(suffix));
    let name = stem.and_then(|stem| {
        let (name, version) = stem.rsplit_once('-')?;
        Version::from_str(version).ok()?;
        Name::parse(name)
    });
    (name, None)
}

#[cfg(test)]
mod tests;
