//! Finds installed packages as Node.js does: in `node_modules` of a directory and of every directory above it ("Loading from
//! node_modules folders" in the documentation of Node.js). Symbolic links are followed, so pnpm's store works like the rest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::package_json::Manifest;
use crate::check::dependencies::{Files, ReadError};
use crate::model::Reason;

/// The name of the directory with installed packages.
pub const NODE_MODULES: &str = "node_modules";
/// The deepest nesting of `node_modules` that is searched for extra packages.
const MAX_NESTING: usize = 32;

/// An installed package.
#[derive(Debug)]
pub struct Installed {
    /// Its directory without symbolic links.
    pub directory: PathBuf,
    /// Whether the place where it was found is a symbolic link.
    pub is_link: bool,
    /// Its `package.json`. Without one, the manifest is empty.
    pub manifest: Result<Manifest, Unreadable>,
}

/// Why a file can't be used.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The reason of a run that fails because of it.
    pub reason: Reason,
    /// What was attempted and what went wrong.
    pub message: String,
}

impl Installed {
    /// The version; `None` if it has none or is unreadable.
    pub fn version(&self) -> Option<&str> {
        self.manifest.as_ref().ok()?.version.as_deref()
    }

    /// The name in `package.json`.
    pub fn name(&self) -> Option<&str> {
        self.manifest.as_ref().ok()?.name.as_deref()
    }
}

/// The installed packages that were read so far.
#[derive(Debug)]
pub struct Tree<'a> {
    /// Reads within the limits of the run.
    pub files: &'a mut Files,
    /// What is at a place such as `/srv/web/node_modules/a`.
    places: HashMap<PathBuf, Option<Rc<Installed>>>,
    /// Manifests by directory, because several links can lead to one.
    manifests: HashMap<PathBuf, Rc<Installed>>,
    /// Whether a directory has `node_modules`.
    folders: HashMap<PathBuf, bool>,
}

impl<'a> Tree<'a> {
    /// Nothing is read yet.
    pub fn new(files: &'a mut Files) -> Self {
        Self {
            files,
            places: HashMap::new(),
            manifests: HashMap::new(),
            folders: HashMap::new(),
        }
    }

    /// The package that code in `directory` gets under this name. `directory` has no symbolic links.
    ///
    /// # Errors
    /// If the run must end.
    pub fn resolve(&mut self, directory: &Path, name: &str) -> Result<Option<Rc<Installed>>, ReadError> {
        if !is_package_name(name) {
            return Ok(None);
        }
        for above in directory.ancestors() {
            if above.file_name().is_some_and(|last| last == NODE_MODULES) || !self.has_folder(above)? {
                continue;
            }
            if let Some(found) = self.at(&above.join(NODE_MODULES).join(name))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The package at a place. `None` if there is nothing, or a link to nothing.
    ///
    /// # Errors
    /// If the run must end.
    pub fn at(&mut self, place: &Path) -> Result<Option<Rc<Installed>>, ReadError> {
        // A walk through known places reads nothing.
        self.files.proceed(place)?;
        if let Some(known) = self.places.get(place) {
            return Ok(known.clone());
        }
        let found = match self.files.resolve(place) {
            Ok(directory) => Some(self.read(place, directory)?),
            Err(error) if error.is_absent() => None,
            Err(error) => Some(Rc::new(Installed {
                directory: place.to_owned(),
                is_link: false,
                manifest: Err(unreadable(error)?),
            })),
        };
        self.places.insert(place.to_owned(), found.clone());
        Ok(found)
    }

    fn read(&mut self, place: &Path, directory: PathBuf) -> Result<Rc<Installed>, ReadError> {
        let is_link = place != directory;
        if let Some(known) = self.manifests.get(&directory)
            && known.is_link == is_link
        {
            return Ok(Rc::clone(known));
        }
        let manifest = match read_manifest(self.files, &directory.join("package.json"))? {
            Some(manifest) => manifest,
            None => Ok(Manifest::default()),
        };
        let installed = Rc::new(Installed {
            directory: directory.clone(),
            is_link,
            manifest,
        });
        self.manifests.insert(directory, Rc::clone(&installed));
        Ok(installed)
    }

    fn has_folder(&mut self, directory: &Path) -> Result<bool, ReadError> {
        if let Some(known) = self.folders.get(directory) {
            return Ok(*known);
        }
        let has = match self.files.is_directory(&directory.join(NODE_MODULES)) {
            Ok(has) => has,
            Err(error) if error.ends_run() => return Err(error),
            // It exists, but can't be read. Looking into it yields the reason.
            Err(_) => true,
        };
        self.folders.insert(directory.to_owned(), has);
        Ok(has)
    }

    /// All packages in `node_modules` of `directory`, and in those of its packages. Does not enter links. A directory that can't be
    /// listed is added to `unlisted`.
    ///
    /// # Errors
    /// If the run must end.
    pub fn list(
        &mut self,
        directory: &Path,
        unlisted: &mut Vec<(PathBuf, Unreadable)>,
    ) -> Result<Vec<PathBuf>, ReadError> {
        let mut found = Vec::new();
        let mut waiting = vec![(directory.join(NODE_MODULES), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            let names = match self.files.list(&folder) {
                Ok(names) => names,
                Err(error) if error.is_absent() => continue,
                Err(error) => {
                    unlisted.push((folder, unreadable(error)?));
                    continue;
                }
            };
            for name in names {
                let place = folder.join(&name);
                let name = name.to_string_lossy();
                // Package managers store their own files in entries such as .bin, .pnpm and .package-lock.json.
                if name.starts_with('.') || !self.files.is_directory(&place).or_else(or_false)? {
                    continue;
                }
                let is_scope = name.starts_with('@') && folder.ends_with(NODE_MODULES);
                if is_scope {
                    waiting.push((place, depth));
                    continue;
                }
                let is_link = place.is_symlink();
                if !is_link && depth < MAX_NESTING && self.has_folder(&place)? {
                    waiting.push((place.join(NODE_MODULES), depth + 1));
                }
                found.push(place);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn or_false(error: ReadError) -> Result<bool, ReadError> {
    if error.ends_run() { Err(error) } else { Ok(false) }
}

/// What an error means for the file, unless the run must end.
///
/// # Errors
/// The error itself if the run must end.
pub fn unreadable(error: ReadError) -> Result<Unreadable, ReadError> {
    if error.ends_run() || error.shortage().is_some() {
        return Err(error);
    }
    Ok(Unreadable {
        reason: error.reason(),
        message: error.to_string(),
    })
}

/// Reads a `package.json`. `None` if there is none.
///
/// # Errors
/// If the run must end.
pub fn read_manifest(
    files: &mut Files,
    path: &Path,
) -> Result<Option<Result<Manifest, Unreadable>>, ReadError> {
    Ok(match files.read(path) {
        // Node.js replaces bytes that are not UTF-8, too. Old packages have them in names of authors.
        Ok(bytes) => Some(
            Manifest::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| Unreadable {
                reason: Reason::Protocol,
                message: format!("parsing {}: {error}", path.display()),
            }),
        ),
        Err(error) if error.is_absent() => None,
        Err(error) => Some(Err(unreadable(error)?)),
    })
}

/// Whether a name can be a directory in `node_modules`: `name` or `@scope/name`. Others could lead out of it.
pub fn is_package_name(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !matches!(part, "." | "..") && !part.contains('\0');
    match name.split_once('/') {
        Some((scope, rest)) => {
            scope.starts_with('@') && is_part(scope) && is_part(rest) && !rest.contains('/')
        }
        None => is_part(name),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::check::dependencies::Limits;

    const LIMITS: Limits = Limits {
        file_bytes: 1000,
        total_bytes: 100_000,
        files: 1000,
    };

    fn package(root: &Path, place: &str, text: &str) {
        fs::create_dir_all(root.join(place)).unwrap();
        fs::write(root.join(place).join("package.json"), text).unwrap();
    }

    #[test]
    fn packages_are_found_where_node_finds_them() {
        let directory = tempfile::tempdir().unwrap();
        let root = &directory.path().canonicalize().unwrap();
        package(root, "node_modules/a", r#"{"name": "a", "version": "1.0.0"}"#);
        package(root, "node_modules/b", r#"{"name": "b", "version": "1.0.0"}"#);
        package(
            root,
            "node_modules/a/node_modules/b",
            r#"{"name": "b", "version": "2.0.0"}"#,
        );
        package(root, "node_modules/@s/c", "{");
        package(root, "lib", r#"{"name": "lib", "version": "3.0.0"}"#);
        symlink("../lib", root.join("node_modules/lib")).unwrap();
        symlink("../nowhere", root.join("node_modules/dangling")).unwrap();
        symlink("loop", root.join("node_modules/loop")).unwrap();
        fs::create_dir_all(root.join("node_modules/empty")).unwrap();
        let mut files = Files::new(LIMITS);
        let mut tree = Tree::new(&mut files);
        let mut version = |from: &str, name: &str| {
            let found = tree.resolve(&root.join(from), name).unwrap();
            found.map(|found| match &found.manifest {
                Ok(manifest) => format!("{} {}", manifest.version.as_deref().unwrap_or("-"), found.is_link),
                Err(error) => error.message.clone(),
            })
        };
        assert_eq!(version("", "b").as_deref(), Some("1.0.0 false"));
        assert_eq!(version("node_modules/a", "b").as_deref(), Some("2.0.0 false"));
        assert_eq!(version("node_modules/b", "a").as_deref(), Some("1.0.0 false"));
        assert_eq!(version("lib", "b").as_deref(), Some("1.0.0 false"));
        assert_eq!(version("", "lib").as_deref(), Some("3.0.0 true"));
        assert_eq!(version("", "empty").as_deref(), Some("- false"));
        assert_eq!(version("", "dangling"), None);
        assert_eq!(version("", "../lib"), None);
        assert!(version("", "loop").unwrap().contains("symbolic links"));
        assert!(version("", "@s/c").unwrap().starts_with("parsing "));
        let mut unlisted = Vec::new();
        let listed = tree.list(root, &mut unlisted).unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap())
            .collect();
        let expected = [
            "node_modules/@s/c",
            "node_modules/a",
            "node_modules/a/node_modules/b",
            "node_modules/b",
            "node_modules/empty",
            "node_modules/lib",
        ];
        assert_eq!(listed, expected);
        assert!(unlisted.is_empty());
    }
}
