//! Reads which packages are installed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pep440_rs::Version;

use super::direct_url::DirectUrl;
use super::dist_info::{EntryKind, EntryName, Metadata, is_head_complete, parse_requires};
use super::name::Name;
use crate::check::dependencies::{Files, ReadError};
use crate::model::Reason;

/// The longest line of a `.pth` file that can be a path.
const MAX_PATH_BYTES: usize = 4096;
/// How many directories `.pth` files may add.
const MAX_ADDED: usize = 100;

/// All installed packages.
pub type Packages = BTreeMap<Name, Package>;

/// What is installed under one name.
#[derive(Clone, Debug, PartialEq)]
pub enum Package {
    /// A package.
    Installed(Box<Installed>),
    /// Its metadata can't be read or used.
    Broken(Reason, String),
}

/// An installed package.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// Its version.
    pub version: Version,
    /// Its requirements as written.
    pub requires: Vec<String>,
    /// Where it was installed from, if not from an index.
    pub direct_url: Option<DirectUrl>,
    /// The directory that Python imports it from, if it is in development in the form of older versions of setuptools.
    pub develop: Option<PathBuf>,
    /// Whether it belongs to the system, not to the environment.
    pub is_of_system: bool,
}

/// Reads the packages of the directories. As in Python, the first directory with a package wins. All directories after the first
/// `own` ones belong to the system.
///
/// # Errors
/// If a directory can't be read, or a limit is used up.
pub fn read(site_directories: &[PathBuf], own: usize, files: &mut Files) -> Result<Packages, ReadError> {
    let mut packages = Packages::new();
    let mut added = Vec::new();
    for (position, directory) in site_directories.iter().enumerate() {
        let names = files.list(directory)?;
        for path in added_by(directory, &names, files)? {
            if added.len() < MAX_ADDED && !site_directories.contains(&path) && !added.contains(&path) {
                added.push(path);
            }
        }
        let origin = if position < own {
            Origin::Own
        } else {
            Origin::System
        };
        read_directory(directory, names, origin, &mut packages, files)?;
    }
    for directory in &added {
        // Python ignores paths in .pth files that don't exist.
        match files.list(directory) {
            Ok(names) => read_directory(directory, names, Origin::Added, &mut packages, files)?,
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(packages)
}

/// The directories that the `.pth` files and `.egg-link` files add. Lines that start with `import` are code, which can't be followed.
fn added_by(directory: &Path, names: &[OsString], files: &mut Files) -> Result<Vec<PathBuf>, ReadError> {
    let mut added = Vec::new();
    let suffixes = [".pth", ".egg-link"];
    let names = names.iter().filter_map(|name| name.to_str());
    for name in names.filter(|name| suffixes.iter().any(|suffix| name.ends_with(suffix))) {
        let bytes = match files.read(&directory.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.ends_run() => return Err(error),
            // Python ignores those that can't be read.
            Err(_) => continue,
        };
        let text = String::from_utf8_lossy(&bytes);
        let is_path = |line: &&str| {
            !line.is_empty()
                && line.len() <= MAX_PATH_BYTES
                && !line.starts_with('#')
                && !line.starts_with("import ")
                && !line.starts_with("import\t")
        };
        let paths = text.lines().map(str::trim).filter(is_path).take(MAX_ADDED);
        for path in paths {
            added.push(normalize(&directory.join(path)));
        }
    }
    Ok(added)
}

/// Removes `.` and `..`, which old `.egg-link` files have at their end.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// A path without symbolic links; `None` if it does not exist.
///
/// # Errors
/// If a limit of the run is used up.
pub fn resolve(path: &Path, files: &mut Files) -> Result<Option<PathBuf>, ReadError> {
    match files.resolve(path) {
        Ok(resolved) => Ok(Some(resolved)),
        Err(error) if error.ends_run() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What a directory with packages is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A part of the environment.
    Own,
    /// A part of the system.
    System,
    /// Added by a `.pth` file.
    Added,
}

fn read_directory(
    directory: &Path,
    names: Vec<OsString>,
    origin: Origin,
    packages: &mut Packages,
    files: &mut Files,
) -> Result<(), ReadError> {
    let mut found: BTreeMap<Name, Vec<(String, EntryKind)>> = BTreeMap::new();
    for file_name in names {
        let Ok(file_name) = file_name.into_string() else {
            continue;
        };
        if let Some(entry) = EntryName::parse(&file_name)
            && entry.kind != EntryKind::EggLink
            && !packages.contains_key(&entry.name)
        {
            found.entry(entry.name).or_default().push((file_name, entry.kind));
        }
    }
    let develop = match origin {
        Origin::Added => Some(resolve(directory, files)?.unwrap_or_else(|| directory.to_owned())),
        Origin::Own | Origin::System => None,
    };
    for (name, entries) in found {
        let mut several = Vec::new();
        for (file_name, kind) in entries {
            if let Some(mut package) = read_entry(&directory.join(&file_name), kind, files)? {
                if let Package::Installed(package) = &mut package {
                    package.develop.clone_from(&develop);
                    package.is_of_system = origin == Origin::System;
                }
                several.push((file_name, package));
            }
        }
        // pip ignores what is left of an earlier version if it has no metadata.
        let is_rest = |package: &Package| matches!(package, Package::Broken(Reason::Missing, _));
        if several.iter().any(|(_, package)| !is_rest(package)) {
            several.retain(|(_, package)| !is_rest(package));
        }
        // `.dist-info` has more facts than the other forms.
        several.sort_by_key(|(file_name, _)| (!file_name.ends_with(".dist-info"), file_name.clone()));
        let version = |package: &Package| match package {
            Package::Installed(package) => Some(package.version.clone()),
            Package::Broken(..) => None,
        };
        let first = several.first().and_then(|(_, package)| version(package));
        let is_same = first.is_some() && several.iter().all(|(_, package)| version(package) == first);
        let package = match several.len() {
            0 => continue,
            1 => several.swap_remove(0).1,
            // Distributions install two forms of metadata for one version.
            _ if is_same => several.swap_remove(0).1,
            count => Package::Broken(
                Reason::Protocol,
                format!(
                    "{} has it {count} times ({} and {}): remove all of them, then install it again",
                    directory.display(),
                    several[0].0,
                    several[1].0
                ),
            ),
        };
        packages.insert(name, package);
    }
    Ok(())
}

/// Reads a package, without what its directory says about it.
fn read_entry(path: &Path, kind: EntryKind, files: &mut Files) -> Result<Option<Package>, ReadError> {
    let head = match kind {
        EntryKind::DistInfo => files.read_head(&path.join("METADATA"), is_head_complete),
        EntryKind::Egg => files.read_head(&path.join("EGG-INFO/PKG-INFO"), is_head_complete),
        EntryKind::EggInfo => match files.read_head(&path.join("PKG-INFO"), is_head_complete) {
            // It may be a file itself.
            Err(error) if error.is_absent() => files.read_head(path, is_head_complete),
            head => head,
        },
        EntryKind::EggLink => return Ok(None),
    };
    let head = match head {
        Ok(head) => head,
        Err(error) if error.ends_run() || error.shortage().is_some() => return Err(error),
        // A zipped egg, which importlib.metadata does not list either.
        Err(_) if kind == EntryKind::Egg => return Ok(None),
        Err(error) => return Ok(Some(Package::Broken(error.reason(), error.to_string()))),
    };
    let mut metadata = Metadata::parse(&head);
    let version = match metadata.parse_version() {
        Ok(version) => version,
        Err(text) => {
            let text = format!("{}: {text}: install it again", path.display());
            return Ok(Some(Package::Broken(Reason::Protocol, text)));
        }
    };
    if metadata.requires.is_empty() && kind != EntryKind::DistInfo {
        let below = if kind == EntryKind::Egg {
            "EGG-INFO/requires.txt"
        } else {
            "requires.txt"
        };
        match files.read(&path.join(below)) {
            Ok(bytes) => metadata.requires = parse_requires(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.ends_run() => return Err(error),
            Err(_) => {}
        }
    }
    let direct_url = match files.read(&path.join("direct_url.json")) {
        Ok(json) => match DirectUrl::parse(&json) {
            Ok(mut direct_url) => {
                direct_url.resolve(|path| resolve(path, files))?;
                Some(direct_url)
            }
            Err(text) => {
                let text = format!("{}: {text}: install it again", path.display());
                return Ok(Some(Package::Broken(Reason::Protocol, text)));
            }
        },
        Err(error) if error.ends_run() => return Err(error),
        Err(_) => None,
    };
    Ok(Some(Package::Installed(Box::new(Installed {
        version,
        requires: metadata.requires,
        direct_url,
        develop: None,
        is_of_system: false,
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::dependencies::Limits;

    fn files() -> Files {
        Files::new(Limits {
            file_bytes: 1 << 20,
            total_bytes: 1 << 24,
            files: 1000,
        })
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn version(packages: &Packages, name: &str) -> String {
        match packages.get(&Name::normalize(name)) {
            Some(Package::Installed(package)) => package.version.to_string(),
            Some(Package::Broken(reason, text)) => format!("{reason}: {text}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn all_forms_of_metadata_are_read() {
        let root = tempfile::tempdir().unwrap();
        let (first, second, project) = ["first", "second", "project"]
            .map(|name| root.path().join(name))
            .into();
        write(
            &first.join("a-1.0.dist-info/METADATA"),
            "Name: a\nVersion: 1.0\nRequires-Dist: b\n\n",
        );
        write(
            &first.join("a-1.0.dist-info/direct_url.json"),
            r#"{"url": "file:///a", "dir_info": {}}"#,
        );
        write(&first.join("b-1.0.egg-info"), "Name: b\nVersion: 1.0\n");
        write(
            &first.join("c-1-py3.11.egg-info/PKG-INFO"),
            "Name: c\nVersion: 1\n",
        );
        write(&first.join("c-1-py3.11.egg-info/requires.txt"), "a\n[x]\nb\n");
        write(
            &first.join("d-2-py3.11.egg/EGG-INFO/PKG-INFO"),
            "Name: d\nVersion: 2\n",
        );
        write(
            &first.join("easy-install.pth"),
            "import os\n../project\n/absent\n#x\n",
        );
        write(&project.join("p.egg-info/PKG-INFO"), "Name: p\nVersion: 3\n");
        write(
            &second.join("a-2.0.dist-info/METADATA"),
            "Name: a\nVersion: 2.0\n\n",
        );
        write(&second.join("~x-1.dist-info/METADATA"), "Name: x\nVersion: 1\n\n");
        write(&second.join("s-1.dist-info/METADATA"), "Name: s\nVersion: 1\n\n");
        let packages = read(&[first, second], 1, &mut files()).unwrap();
        let found: Vec<_> = packages
            .keys()
            .map(|name| (name.to_string(), version(&packages, name.as_str())))
            .collect();
        let expected = [
            ("a", "1.0"),
            ("b", "1.0"),
            ("c", "1"),
            ("d", "2"),
            ("p", "3"),
            ("s", "1"),
        ];
        let of_system = packages
            .iter()
            .filter(|(_, package)| matches!(package, Package::Installed(package) if package.is_of_system));
        assert_eq!(of_system.map(|(name, _)| name.as_str()).collect::<String>(), "s");
        assert_eq!(
            found,
            expected.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
        let Package::Installed(c) = &packages[&Name::normalize("c")] else {
            panic!()
        };
        assert_eq!(c.requires, ["a", "b ; extra == \"x\""]);
        let Package::Installed(p) = &packages[&Name::normalize("p")] else {
            panic!()
        };
        assert_eq!(p.develop.as_deref(), Some(&*project));
    }

    #[test]
    fn broken_metadata_breaks_one_package_only() {
        let root = tempfile::tempdir().unwrap();
        let site = root.path().join("site");
        write(
            &site.join("a-1.0.dist-info/METADATA"),
            "Name: a\nVersion: 1.0\n\n",
        );
        std::fs::create_dir_all(site.join("empty-1.dist-info")).unwrap();
        write(
            &site.join("odd-1.dist-info/METADATA"),
            "Name: odd\nVersion: 2004d\n\n",
        );
        write(
            &site.join("twice-1.dist-info/METADATA"),
            "Name: twice\nVersion: 1\n\n",
        );
        write(
            &site.join("twice-2.dist-info/METADATA"),
            "Name: twice\nVersion: 2\n\n",
        );
        write(
            &site.join("left-2.dist-info/METADATA"),
            "Name: left\nVersion: 2\n\n",
        );
        std::fs::create_dir_all(site.join("left-1.dist-info/__pycache__")).unwrap();
        write(
            &site.join("both-1.dist-info/METADATA"),
            "Name: both\nVersion: 1.0\nRequires-Dist: x\n\n",
        );
        write(&site.join("both-1-py3.11.egg-info"), "Name: both\nVersion: 1\n\n");
        write(
            &site.join("url-1.dist-info/METADATA"),
            "Name: url\nVersion: 1\n\n",
        );
        write(&site.join("url-1.dist-info/direct_url.json"), "{");
        let packages = read(&[site], 1, &mut files()).unwrap();
        assert_eq!(version(&packages, "a"), "1.0");
        assert_eq!(version(&packages, "left"), "2");
        assert_eq!(version(&packages, "both"), "1.0");
        for (name, start, part) in [
            ("empty", "missing: ", "METADATA"),
            ("odd", "protocol: ", "does not follow PEP 440"),
            ("twice", "protocol: ", "2 times"),
            ("url", "protocol: ", "direct_url.json"),
        ] {
            let text = version(&packages, name);
            assert!(text.starts_with(start) && text.contains(part), "{text}");
        }
    }
}
