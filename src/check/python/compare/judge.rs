//! Judges one package.

use crate::check::dependencies::State;
use crate::check::python::installed::Package;
use crate::check::python::wanted::{Versions, Wanted};

/// How a package differs from a requirement of a file, with what is installed or why it can't be read.
pub fn judge(
    package: Option<&Package>,
    versions: &Versions,
    wanted: &Wanted,
) -> Option<(State, Option<String>)> {
    let by_version = judge_version(package, versions);
    let (Some(source), Some(Package::Installed(package))) = (&wanted.source, package) else {
        return by_version;
    };
    if by_version.is_some() {
        return by_version;
    }
    let is_same = match &package.direct_url {
        Some(direct_url) => source.matches(direct_url),
        // setup.py develop, the editable installation of older versions of pip.
        None => source.matches_develop(package.develop.as_deref()),
    };
    let from = match (&package.direct_url, &package.develop) {
        (Some(direct_url), _) => direct_url.to_string(),
        (None, Some(develop)) => format!("editable {}", develop.display()),
        (None, None) => "an index".to_owned(),
    };
    (!is_same).then(|| {
        (
            State::Mismatched,
            Some(format!("{} from {from}", package.version)),
        )
    })
}

/// As [`judge`], by the version only.
pub fn judge_version(package: Option<&Package>, versions: &Versions) -> Option<(State, Option<String>)> {
    match package {
        None => Some((State::Missing, None)),
        Some(Package::Broken(reason, text)) => Some((State::Unreadable(*reason), Some(text.clone()))),
        Some(Package::Installed(package)) if !versions.contains(&package.version) => {
            Some((State::Mismatched, Some(package.version.to_string())))
        }
        Some(Package::Installed(_)) => None,
    }
}

/// What a requirement demands, without its place.
pub fn demand(versions: &Versions, wanted: &Wanted) -> String {
    let versions = versions.to_string();
    match (&wanted.source, versions.is_empty()) {
        (None, _) => versions,
        (Some(source), true) => source.to_string(),
        (Some(source), false) => format!("{versions} from {source}"),
    }
}
