//! The parsers of files that others write, for tests with arbitrary input.

use std::path::Path;

use super::direct_url::{DirectUrl, Source};
use super::dist_info::{EntryName, Metadata, parse_requires};
use super::environment::Environment;
use super::name::Name;
use super::requirement::Requirement;
use super::requirements_txt::{self, Item};
use super::wanted::{Origin, Selection};
use super::{poetry_lock, pylock, pyproject, uv_lock};

/// Parses the input as each of the files that a run reads. Returns what they require, or why each can't be read.
#[doc(hidden)]
pub fn fuzz_parse(input: &[u8]) -> Vec<Result<String, String>> {
    let text = String::from_utf8_lossy(input);
    let origin = Origin::file(Path::new("/srv/app/file"));
    let environment = Environment::for_tests("3.11.2");
    let selection = Selection::new(&["db".to_owned()], &["dev".to_owned()]);
    let project = pyproject::read(&text).ok();
    let mut results: Vec<Result<String, String>> = Vec::new();
    for parsed in [
        pyproject::parse(&text, &origin, &environment, &selection),
        pylock::parse(&text, &origin, &environment, &selection),
        uv_lock::parse(&text, &origin, &environment, &selection),
        poetry_lock::parse(&text, project.as_ref(), &origin, &environment, &selection),
    ] {
        results.push(parsed.map(|parsed| format!("{:?}", parsed.wanted)));
    }
    if let Ok(decoded) = requirements_txt::decode(input.to_vec()) {
        match requirements_txt::parse(&decoded) {
            Err(error) => results.push(Err(error)),
            Ok(lines) => results.extend(lines.into_iter().map(|line| {
                line.item.map(|item| match item {
                    Item::Link(link) => Source::from_url(&link.url, Path::new("/srv")).to_string(),
                    other => format!("{other:?}"),
                })
            })),
        }
    }
    let metadata = Metadata::parse(input);
    results.push(metadata.parse_version().map(|version| version.to_string()));
    let requires = metadata.requires.into_iter().chain(parse_requires(&text));
    results.extend(requires.map(|text| Requirement::parse(&text).map(|found| found.name.to_string())));
    results.push(DirectUrl::parse(input).map(|found| found.to_string()));
    let entry = EntryName::parse(&text).map(|entry| entry.name);
    results.push(
        entry
            .or_else(|| Name::parse(&text))
            .map(|name| name.to_string())
            .ok_or_else(|| "no name".to_owned()),
    );
    results
}
