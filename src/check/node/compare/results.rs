//! Collects the result of each compared place once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::commands::Commands;
use crate::check::dependencies::{Comparison, Dependency, State};
use crate::check::node::installed::Unreadable;

/// The results by place. Several comparisons can reach the same place: the lock file, `package.json`, and packages that need it.
#[derive(Debug, Default)]
pub struct Results {
    /// The compared places, with the index of the first difference.
    places: HashMap<PathBuf, Option<usize>>,
    differences: Vec<Difference>,
    /// Directories of packages that something requires.
    known: HashSet<PathBuf>,
    /// Names that were reported as missing.
    missing: HashSet<String>,
}

/// A difference, and the requirement that the registry can fulfil on its own.
#[derive(Debug)]
struct Difference {
    dependency: Dependency,
    request: Option<String>,
}

impl Results {
    /// The package at a place is as wanted.
    pub fn satisfied(&mut self, place: &Path) {
        if !self.places.contains_key(place) {
            self.places.insert(place.to_owned(), None);
        }
    }

    /// Something requires the package in a directory.
    pub fn know(&mut self, directory: &Path) {
        if !self.known.contains(directory) {
            self.known.insert(directory.to_owned());
        }
    }

    /// Whether something requires the package in a directory.
    pub fn knows(&self, directory: &Path) -> bool {
        self.known.contains(directory)
    }

    /// Whether a package of this name was reported as missing.
    pub fn is_missing(&self, name: &str) -> bool {
        self.missing.contains(name)
    }

    /// No package is installed at a place.
    pub fn missing(&mut self, place: PathBuf, name: &str, wanted: String) {
        self.missing.insert(name.to_owned());
        self.add(place, name.to_owned(), State::Missing, wanted, None);
    }

    /// Another package or version is installed at a place.
    pub fn mismatched(&mut self, place: &Path, name: String, wanted: String, installed: String) {
        self.add(place.to_owned(), name, State::Mismatched, wanted, Some(installed));
    }

    /// A file or package can't be read.
    pub fn unreadable(&mut self, place: PathBuf, name: &str, error: &Unreadable) {
        let state = State::Unreadable(error.reason);
        self.add(place, name.to_owned(), state, error.message.clone(), None);
    }

    /// Nothing requires the package at a place.
    pub fn extra(&mut self, place: PathBuf, name: String, version: String) {
        self.add(place, name, State::Extra, String::new(), Some(version));
    }

    /// The last difference at this place disappears if this requirement is installed.
    pub fn request(&mut self, place: &Path, requirement: String) {
        if let Some(Some(index)) = self.places.get(place) {
            self.differences[*index].request = Some(requirement);
        }
    }

    fn add(&mut self, place: PathBuf, name: String, state: State, wanted: String, installed: Option<String>) {
        let wanted = without_credentials(&wanted);
        let installed = installed.map(|text| without_credentials(&text));
        let index = self.places.entry(place).or_insert(None);
        if index.is_some() {
            return;
        }
        *index = Some(self.differences.len());
        self.differences.push(Difference {
            dependency: Dependency {
                name,
                state,
                wanted,
                installed,
                fix: None,
            },
            request: None,
        });
    }

    /// The result, with the commands that mend it.
    pub fn into_comparison(self, looks_for_extra: bool, commands: &Commands<'_>) -> Comparison {
        let satisfied = self.places.values().filter(|index| index.is_none()).count();
        let has_other = self
            .differences
            .iter()
            .any(|difference| difference.dependency.state != State::Extra);
        let dependencies: Vec<Dependency> = self
            .differences
            .into_iter()
            .map(|difference| {
                let mut dependency = difference.dependency;
                dependency.fix = commands.of(&dependency, difference.request.as_deref());
                dependency
            })
            .collect();
        let fix = if has_other {
            // A broken lock file or package.json must be mended by hand.
            dependencies
                .iter()
                .all(|dependency| dependency.fix.is_some())
                .then(|| commands.all())
        } else {
            Some(commands.prune())
        };
        Comparison {
            satisfied,
            dependencies,
            looks_for_extra,
            fix,
        }
    }
}

/// A text without the user, the password and the query of each URL. They may be secrets; a user `git` is not.
fn without_credentials(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (before, url) = rest.split_at(at + SCHEME_END.len());
        shown.push_str(before);
        let (url, after) = url.split_at(url.find(char::is_whitespace).unwrap_or(url.len()));
        rest = after;
        let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
        let url = url.split('?').next().unwrap_or_default();
        let path = url.find('/').unwrap_or(url.len());
        match url[..path].rfind('@') {
            Some(at) if &url[..at] != "git" => shown.push_str(&url[at + 1..]),
            _ => shown.push_str(url),
        }
        shown.push_str(fragment);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_are_not_shown() {
        for (text, shown) in [
            (">=1 <2 (package.json)", ">=1 <2 (package.json)"),
            (
                "git+https://user:secret@host.invalid/a.git#v1 (package.json)",
                "git+https://host.invalid/a.git#v1 (package.json)",
            ),
            (
                "https://secret@host.invalid/a.tgz?token=secret (x) https://t@b.invalid",
                "https://host.invalid/a.tgz (x) https://b.invalid",
            ),
            (
                "git+ssh://git@host.invalid/@s/a",
                "git+ssh://git@host.invalid/@s/a",
            ),
            ("x@https://host.invalid/@s/a", "x@https://host.invalid/@s/a"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
        let mut results = Results::default();
        let wanted = "https://user:secret@host.invalid/a.tgz (package.json)".to_owned();
        results.mismatched(Path::new("/a"), "a".to_owned(), wanted.clone(), wanted);
        assert!(!format!("{results:?}").contains("secret"));
    }
}
