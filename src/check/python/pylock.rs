//! `pylock.toml`: the lock format of PEP 751.

use std::path::Path;
use std::str::FromStr;

use pep440_rs::Version;
use serde::Deserialize;

use super::direct_url::Source;
use super::environment::Environment;
use super::marker::{Marker, Scope};
use super::name::Name;
use super::requirement::parse_specifiers;
use super::toml_file;
use super::wanted::{Fault, Known, Origin, Parsed, Selection, Versions, Wanted};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    lock_version: String,
    #[serde(default)]
    environments: Vec<String>,
    #[serde(default)]
    requires_python: Option<String>,
    #[serde(default)]
    extras: Vec<Name>,
    #[serde(default)]
    dependency_groups: Vec<Name>,
    #[serde(default)]
    default_groups: Vec<Name>,
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: Name,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    vcs: Option<Vcs>,
    #[serde(default)]
    directory: Option<Directory>,
    #[serde(default)]
    archive: Option<Archive>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vcs {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    path: Option<String>,
    commit_id: String,
    #[serde(default)]
    subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Directory {
    path: String,
    #[serde(default)]
    editable: bool,
}

#[derive(Debug, Deserialize)]
struct Archive {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    subdirectory: Option<String>,
}

/// The packages of the lock that belong in the environment.
///
/// # Errors
/// If the lock can't be used as a whole.
pub fn parse(
    text: &str,
    origin: &Origin,
    environment: &Environment,
    selection: &Selection,
) -> Result<Parsed, String> {
    let lock: Lock = toml_file::parse(text)?;
    // A minor version only adds keys ("lock-version" in PEP 751).
    if lock.lock_version.split('.').next() != Some("1") {
        return Err(format!(
            "its format has version {}, but only version 1 is supported",
            lock.lock_version
        ));
    }
    // Without a selection, the groups are those that the lock names.
    let groups = match selection.groups.is_empty() {
        true => &lock.default_groups,
        false => &selection.groups,
    };
    let scope = Scope::Sets {
        extras: &selection.extras,
        groups,
    };
    let holds = |marker: &str| {
        Marker::parse(marker).and_then(|marker| {
            marker
                .evaluate(environment, scope)
                .map_err(|error| error.to_string())
        })
    };
    let mut parsed = Parsed {
        is_complete: true,
        ..Parsed::default()
    };
    let mut fault = |text: String| {
        parsed.faults.push(Fault {
            origin: origin.clone(),
            text,
        });
    };
    // An environment that can't be judged is not a reason to fail: the packages have markers of their own.
    if !lock.environments.is_empty() && lock.environments.iter().all(|marker| holds(marker) == Ok(false)) {
        fault("it was not made for this environment (see environments in the file)".to_owned());
    }
    let directory = Path::new(&*origin.file).parent().unwrap_or(Path::new("/"));
    for package in &lock.packages {
        let applies = package.marker.as_deref().map_or(Ok(true), holds);
        let wanted = match applies {
            Ok(true) => package.wanted(origin, directory),
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        match wanted {
            Ok(wanted) => parsed.wanted.push(wanted),
            Err(error) => fault(format!("{}: {error}", package.name)),
        }
    }
    if let Some(text) = &lock.requires_python {
        parsed.requires_python = Some(parse_specifiers(text)?);
    }
    parsed.known = Known {
        extras: lock.extras.into_iter().collect(),
        groups: lock.dependency_groups.into_iter().collect(),
    };
    Ok(parsed)
}

impl Package {
    fn wanted(&self, origin: &Origin, directory: &Path) -> Result<Wanted, String> {
        let versions = match &self.version {
            None => Versions::any(),
            Some(text) => {
                let version = Version::from_str(text);
                Versions::Exactly(version.map_err(|_| "its version does not follow PEP 440".to_owned())?)
            }
        };
        Ok(Wanted {
            name: Some(self.name.clone()),
            extras: Vec::new(),
            versions,
            source: self.source(directory)?,
            origin: origin.clone(),
        })
    }

    fn source(&self, directory: &Path) -> Result<Option<Source>, String> {
        if let Some(vcs) = &self.vcs {
            let url = match (&vcs.url, &vcs.path) {
                (Some(url), _) => url.clone(),
                (None, Some(path)) => directory.join(path).display().to_string(),
                (None, None) => return Err("its vcs has neither url nor path".to_owned()),
            };
            return Ok(Some(Source::from_commit(
                &url,
                &vcs.commit_id,
                vcs.subdirectory.as_deref(),
            )));
        }
        if let Some(local) = &self.directory {
            return Ok(Some(Source::from_path(
                &directory.join(&local.path),
                local.editable,
            )));
        }
        let Some(archive) = &self.archive else {
            return Ok(None);
        };
        let url = archive.url.as_ref().or(archive.path.as_ref());
        let url = url.ok_or("its archive has neither url nor path")?;
        Ok(Some(match &archive.subdirectory {
            None => Source::from_url(url, directory),
            Some(below) => Source::from_url(&format!("{url}#subdirectory={below}"), directory),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
lock-version = "1.0"
created-by = "test"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'"]
extras = ["db"]
dependency-groups = ["default", "dev"]
default-groups = ["default"]

[[packages]]
name = "a"
version = "1.0"
wheels = [{ url = "https://files.test/a-1.0-py3-none-any.whl", hashes = { sha256 = "00" } }]

[[packages]]
name = "b"
version = "1"
marker = "'dev' in dependency_groups"

[[packages]]
name = "c"
marker = "'db' in extras and python_version >= '3.8'"
directory = { path = "../c", editable = true }

[[packages]]
name = "d"
version = "1"
marker = "'default' in dependency_groups"
vcs = { type = "git", url = "https://code.test/d.git", commit-id = "abc" }

[[packages]]
name = "e"
version = "2"
archive = { path = "e-2.tar.gz", hashes = { sha256 = "00" } }
"#;

    fn parse_with(text: &str, extras: &[&str], groups: &[&str]) -> Result<Parsed, String> {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selection = Selection::new(&list(extras), &list(groups));
        let origin = Origin::file(Path::new("/srv/app/pylock.toml"));
        parse(text, &origin, &Environment::for_tests("3.11.2"), &selection)
    }

    fn names(parsed: &Parsed) -> String {
        let wanted = parsed.wanted.iter();
        wanted
            .map(|wanted| wanted.name.as_ref().unwrap().as_str())
            .collect()
    }

    #[test]
    fn markers_select_the_packages() {
        let parsed = parse_with(LOCK, &[], &[]).unwrap();
        assert_eq!((names(&parsed).as_str(), parsed.faults.len()), ("ade", 0));
        assert_eq!(
            parsed.wanted[1].source.as_ref().unwrap().to_string(),
            "https://code.test/d@abc"
        );
        assert_eq!(
            parsed.wanted[2].source.as_ref().unwrap().to_string(),
            "/srv/app/e-2.tar.gz"
        );
        let parsed = parse_with(LOCK, &["db"], &["dev"]).unwrap();
        assert_eq!(names(&parsed), "abce");
        assert_eq!(
            parsed.wanted[2].source.as_ref().unwrap().to_string(),
            "editable /srv/c"
        );
        assert_eq!((parsed.known.extras.len(), parsed.known.groups.len()), (1, 2));
    }

    #[test]
    fn broken_locks_are_errors_and_broken_packages_are_faults() {
        assert!(parse_with(&LOCK.replace("\"1.0\"\ncreated", "\"2.0\"\ncreated"), &[], &[]).is_err());
        assert!(parse_with("lock-version = \"1.0\"", &[], &[]).is_err());
        let lock = LOCK.replace("'linux'", "'win32'").replace("'dev' in", "'dev' is");
        let faults = parse_with(&lock, &[], &[]).unwrap().faults;
        let texts: Vec<&str> = faults.iter().map(|fault| &*fault.text).collect();
        assert_eq!(
            texts[0],
            "it was not made for this environment (see environments in the file)"
        );
        assert!(texts[1].starts_with("b: "), "{texts:?}");
    }
}
