//! Reads a project: its `package.json`, its workspaces and its lock file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::installed::{NODE_MODULES, Unreadable, read_manifest, unreadable};
use super::lock::{Lock, Manager, first_line, parse_lock};
use super::loose::Lenient;
use super::package_json::Manifest;
use super::workspaces;
use crate::check::dependencies::{Files, ReadError};
use crate::config::node::Lockfile;
use crate::model::Reason;

/// The lock files, in the order of preference if nothing else decides.
const LOCK_FILES: [(&str, Manager); 4] = [
    ("npm-shrinkwrap.json", Manager::Npm),
    ("package-lock.json", Manager::Npm),
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("yarn.lock", Manager::Yarn),
];

/// What only one package manager writes into `node_modules`.
const MARKS: [(&str, Manager); 3] = [
    (".package-lock.json", Manager::Npm),
    (".modules.yaml", Manager::Pnpm),
    (".yarn-integrity", Manager::Yarn),
];

/// A project or a workspace.
#[derive(Debug)]
pub struct Member {
    /// The directory relative to the project; empty for the project itself.
    pub path: String,
    /// The directory without symbolic links.
    pub directory: PathBuf,
    /// Its `package.json`.
    pub manifest: Manifest,
}

impl Member {
    /// Its `package.json`, as messages name it.
    pub fn file(&self) -> String {
        if self.path.is_empty() {
            "package.json".to_owned()
        } else {
            format!("{}/package.json", self.path)
        }
    }
}

/// A project as its files describe it.
#[derive(Debug)]
pub struct Project {
    /// The project itself, then its workspaces.
    pub members: Vec<Member>,
    /// The package manager.
    pub manager: Manager,
    /// The name of the lock file, as messages show it.
    pub lock_name: String,
    /// The lock file; `None` if there is none or it is not used.
    pub lock: Option<Result<Lock, Unreadable>>,
    /// The directory that paths in the lock file are relative to: that of the project, or a directory above if the lock file is that of a
    /// workspace to which the project belongs.
    pub lock_root: PathBuf,
    /// The path of the project below `lock_root`; empty if both are the same.
    pub lock_prefix: String,
    /// Other files that can't be used.
    pub unreadable: Vec<(String, Unreadable)>,
}

/// Why a project can't be compared at all.
pub type NotAProject = (String, Unreadable);

impl Project {
    /// Reads the project in `directory`. A project without a readable `package.json`, or with packages in another form than
    /// `node_modules`, is the inner error.
    ///
    /// # Errors
    /// If the run must end.
    pub fn read(
        files: &mut Files,
        directory: &Path,
        lockfile: &Lockfile,
    ) -> Result<Result<Self, NotAProject>, ReadError> {
        let not_a_project =
            |name: &str, reason, message: String| Ok(Err((name.to_owned(), Unreadable { reason, message })));
        let directory = match files.resolve(directory) {
            Ok(directory) => directory,
            Err(error) => return Ok(Err((directory.display().to_string(), unreadable(error)?))),
        };
        let path = directory.join("package.json");
        let manifest = match read_manifest(files, &path)? {
            Some(Ok(manifest)) => manifest,
            Some(Err(error)) => return Ok(Err(("package.json".to_owned(), error))),
            None => {
                let message = format!(
                    "{} not found: set directory to the directory with package.json",
                    path.display()
                );
                return not_a_project("package.json", Reason::Missing, message);
            }
        };
        let mut exists = |name: &str| match files.exists(&directory.join(name)) {
            Ok(exists) => Ok(exists),
            Err(error) => unreadable(error).map(|_| false),
        };
        if exists(".pnp.cjs")? && !exists(NODE_MODULES)? {
            let message =
                "yarn's Plug'n'Play is not supported: set nodeLinker: node-modules in .yarnrc.yml".to_owned();
            return not_a_project(".pnp.cjs", Reason::Protocol, message);
        }
        let manager = detect_manager(&mut exists, &manifest)?;
        let mut project = Self {
            members: vec![Member {
                path: String::new(),
                directory: directory.clone(),
                manifest,
            }],
            manager: manager.unwrap_or(Manager::Npm),
            lock_name: String::new(),
            lock: None,
            lock_root: directory.clone(),
            lock_prefix: String::new(),
            unreadable: Vec::new(),
        };
        match lockfile {
            Lockfile::None => {}
            Lockfile::Auto => project.find_lock(files, manager)?,
            Lockfile::Path(path) => {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let known = LOCK_FILES.iter().find(|(file, _)| name == *file);
                let (_, manager) = known.copied().unwrap_or(("", project.manager));
                let lock = directory.join(path);
                project.read_lock(files, &lock, &path.display().to_string(), manager)?;
                project.find_lock_root(files, &lock)?;
            }
        }
        project.read_workspaces(files)?;
        Ok(Ok(project))
    }

    /// The directory of the project.
    pub fn root(&self) -> &Path {
        &self.members[0].directory
    }

    fn find_lock(&mut self, files: &mut Files, manager: Option<Manager>) -> Result<(), ReadError> {
        let mut found = Vec::new();
        for (name, owner) in LOCK_FILES {
            match files.exists(&self.root().join(name)) {
                Ok(true) => found.push((name, owner)),
                Ok(false) => {}
                Err(error) => {
                    unreadable(error)?;
                }
            }
        }
        let preferred = found.iter().find(|(_, owner)| Some(*owner) == manager);
        if let Some((name, owner)) = preferred.or(found.first()).copied() {
            return self.read_lock(files, &self.root().join(name), name, owner);
        }
        for name in ["bun.lock", "bun.lockb"] {
            if files.exists(&self.root().join(name)).is_ok_and(|exists| exists) {
                name.clone_into(&mut self.lock_name);
                self.lock = Some(Err(Unreadable {
                    reason: Reason::Protocol,
                    message: format!(
                        "{name} is not supported: set lockfile: none to check package.json only"
                    ),
                }));
                break;
            }
        }
        Ok(())
    }

    fn read_lock(
        &mut self,
        files: &mut Files,
        path: &Path,
        name: &str,
        manager: Manager,
    ) -> Result<(), ReadError> {
        name.clone_into(&mut self.lock_name);
        self.manager = manager;
        self.lock = Some(match files.read_text(path) {
            Ok(text) => parse_lock(&text, manager).map_err(|message| Unreadable {
                reason: Reason::Protocol,
                message: format!("parsing {}: {message}", path.display()),
            }),
            Err(error) => Err(unreadable(error)?),
        });
        Ok(())
    }

    /// Finds out whether the lock file is that of a workspace above the project. Its overrides then count here too.
    fn find_lock_root(&mut self, files: &mut Files, path: &Path) -> Result<(), ReadError> {
        let (Some(Ok(lock)), Some(parent)) = (&self.lock, path.parent()) else {
            return Ok(());
        };
        let parent = match files.resolve(parent) {
            Ok(parent) => parent,
            Err(error) => return unreadable(error).map(|_| ()),
        };
        let prefix = self.root().strip_prefix(&parent).ok().and_then(Path::to_str);
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty() && lock.has_project(prefix)) else {
            return Ok(());
        };
        self.lock_prefix = prefix.to_owned();
        if let Some(Ok(workspace)) = read_manifest(files, &parent.join("package.json"))? {
            self.members[0].manifest.overrides.extend(workspace.overrides);
        }
        self.lock_root = parent;
        Ok(())
    }

    /// The name of a project or workspace in pnpm's lock file.
    pub fn importer(&self, member: &Member) -> String {
        let path = self.lock_path(member);
        if path.is_empty() { ".".to_owned() } else { path }
    }

    /// The path of a project or workspace in the lock file.
    pub fn lock_path(&self, member: &Member) -> String {
        let parts = [self.lock_prefix.as_str(), &member.path];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }

    fn read_workspaces(&mut self, files: &mut Files) -> Result<(), ReadError> {
        let mut patterns = self.members[0].manifest.workspaces.clone();
        let root = self.root().to_owned();
        if self.manager == Manager::Pnpm {
            match files.read_text(&root.join("pnpm-workspace.yaml")) {
                Ok(text) => match serde_yaml::from_str::<PnpmWorkspace>(&text) {
                    Ok(workspace) => patterns = workspace.packages.0,
                    Err(error) => self.unreadable.push((
                        "pnpm-workspace.yaml".to_owned(),
                        Unreadable {
                            reason: Reason::Protocol,
                            message: format!(
                                "parsing pnpm-workspace.yaml: {}",
                                first_line(&error.to_string())
                            ),
                        },
                    )),
                },
                Err(error) if error.is_absent() => {}
                Err(error) => {
                    let error = unreadable(error)?;
                    self.unreadable.push(("pnpm-workspace.yaml".to_owned(), error));
                }
            }
        }
        for path in workspaces::find(files, &root, &patterns)? {
            let directory = match files.resolve(&root.join(&path)) {
                Ok(directory) => directory,
                Err(error) => {
                    unreadable(error)?;
                    continue;
                }
            };
            match read_manifest(files, &directory.join("package.json"))? {
                Some(Ok(manifest)) => self.members.push(Member {
                    path,
                    directory,
                    manifest,
                }),
                Some(Err(error)) => self.unreadable.push((format!("{path}/package.json"), error)),
                None => {}
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct PnpmWorkspace {
    #[serde(default)]
    packages: Lenient<Vec<String>>,
}

/// The package manager that made `node_modules`, or that `package.json` names.
fn detect_manager(
    exists: &mut dyn FnMut(&str) -> Result<bool, ReadError>,
    manifest: &Manifest,
) -> Result<Option<Manager>, ReadError> {
    for (mark, manager) in MARKS {
        if exists(&format!("{NODE_MODULES}/{mark}"))? {
            return Ok(Some(manager));
        }
    }
    let named = manifest
        .package_manager
        .as_deref()
        .and_then(|text| text.split('@').next());
    Ok(match named {
        Some("npm") => Some(Manager::Npm),
        Some("pnpm") => Some(Manager::Pnpm),
        Some("yarn") => Some(Manager::Yarn),
        _ => None,
    })
}
