//! Detects that files of a configuration changed, and where such a change can happen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::discover::{Found, find};
use crate::config::file_version::FileVersion;

/// The maximum number of symbolic links on the way to a file, as in Linux: path_resolution(7).
const MAX_LINKS: usize = 40;

/// The versions of all files of a configuration, by path. A change of any file changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Vec<(PathBuf, FileVersion)>);

impl Versions {
    /// The current versions.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut versions = Vec::new();
        for path in paths {
            match find(path) {
                Found::File => versions.push((path.clone(), FileVersion::of(path))),
                // Other files may change the version of the directory.
                Found::Directory(files) => versions.extend(files.into_iter().map(|file| {
                    let version = FileVersion::of(&file);
                    (file, version)
                })),
                Found::Failed(_) => versions.push((path.clone(), FileVersion::of(path))),
            }
        }
        Self(versions)
    }
}

/// The directories in which a change can change the files of a configuration: those of the files, and those of the symbolic links on
/// the way to them. Kubernetes replaces a ConfigMap by replacing the link `..data`.
pub fn directories(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let Ok(path) = std::path::absolute(path) else {
            continue;
        };
        add_directories(&path, &mut directories);
        if let Found::Directory(files) = find(&path) {
            let links = files.iter().filter(|file| file.is_symlink());
            links.for_each(|file| add_directories(file, &mut directories));
        }
    }
    directories
}

/// Adds the directory of an absolute path, the path itself if it is a directory, and the directories of the links on the way. If a
/// directory does not exist, adds the one in which it can be created.
fn add_directories(path: &Path, directories: &mut BTreeSet<PathBuf>) {
    let mut current = PathBuf::from("/");
    let mut pending = steps(path);
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            current.pop();
            continue;
        }
        let next = current.join(name);
        match fs::read_link(&next) {
            Ok(target) => {
                directories.insert(current.clone());
                links += 1;
                if links > MAX_LINKS {
                    return;
                }
                if target.is_absolute() {
                    current = PathBuf::from("/");
                }
                pending.extend(steps(&target));
            }
            Err(_) => {
                let exists = next.exists();
                if pending.is_empty() || !exists {
                    directories.insert(current);
                }
                if !exists {
                    return;
                }
                current = next;
            }
        }
    }
    if current.is_dir() {
        directories.insert(current);
    }
}

/// The names of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut steps: Vec<OsString> = steps.collect();
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn watched(path: &Path) -> Vec<String> {
        let root = path.ancestors().find(|path| path.join("root").exists()).unwrap();
        directories(&[path.to_owned()])
            .iter()
            .map(|directory| directory.strip_prefix(root).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn the_directories_of_files_and_links_are_watched() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        for directory in ["root", "etc/conf.d", "releases/2", "map/..1"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        for file in [
            "etc/main.yml",
            "etc/conf.d/a.yml",
            "releases/2/a.yml",
            "map/..1/b.yml",
        ] {
            fs::write(at(file), "").unwrap();
        }
        assert_eq!(watched(&at("etc/main.yml")), ["etc"]);
        assert_eq!(watched(&at("etc/conf.d")), ["etc", "etc/conf.d"]);
        // A link to a directory, as of a deployment.
        symlink("releases/2", at("current")).unwrap();
        assert_eq!(watched(&at("current/a.yml")), ["", "releases/2"]);
        // The links of a ConfigMap.
        symlink("..1", at("map/..data")).unwrap();
        symlink("..data/b.yml", at("map/b.yml")).unwrap();
        assert_eq!(watched(&at("map/b.yml")), ["map", "map/..1"]);
        assert_eq!(watched(&at("map")), ["", "map", "map/..1"]);
        // A file that is linked from elsewhere, with an absolute target.
        symlink(at("releases/2/a.yml"), at("etc/conf.d/z.yml")).unwrap();
        assert_eq!(watched(&at("etc/conf.d")), ["etc", "etc/conf.d", "releases/2"]);
        // What does not exist can be created.
        assert_eq!(watched(&at("etc/none/conf.d")), ["etc"]);
        assert_eq!(watched(&at("etc/none.yml")), ["etc"]);
        symlink("loop", at("etc/loop")).unwrap();
        assert_eq!(watched(&at("etc/loop")), ["etc"]);
    }

    #[test]
    fn a_change_of_any_file_changes_the_versions() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("conf.d");
        let paths = [root.path().join("main.yml"), directory.clone()];
        let mut seen = vec![Versions::of(&paths)];
        let mut differs = |what: &str| {
            let versions = Versions::of(&paths);
            let is_new = !seen.contains(&versions);
            seen.push(versions);
            assert!(is_new, "{what}");
        };
        fs::write(&paths[0], "1").unwrap();
        differs("a new file");
        fs::create_dir(&directory).unwrap();
        differs("a new directory");
        fs::write(directory.join("a.yml"), "12").unwrap();
        differs("a new file in the directory");
        fs::rename(directory.join("a.yml"), directory.join("b.yaml")).unwrap();
        differs("a renamed file");
        symlink("none", directory.join("c.yml")).unwrap();
        differs("a broken link");
        let before = Versions::of(&paths);
        for ignored in [
            ".d.yml",
            "b.yaml~",
            ".b.yaml.swp",
            "#b.yaml#",
            "notes.txt",
            "b.yaml.bak",
        ] {
            fs::write(directory.join(ignored), "").unwrap();
        }
        fs::create_dir(directory.join("sub.yml")).unwrap();
        assert_eq!(Versions::of(&paths), before);
    }
}
