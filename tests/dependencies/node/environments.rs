//! Environments made by package managers. They are made once, and each test changes a copy.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use super::support::{manager, succeed, tools};

/// Changes when the environments change, so that old ones are not reused.
const REVISION: &str = "3";

/// Packages from the registry: nested versions, an alias, a peer, an optional one for another platform, and a development one.
const PLAIN: &str = r#"{
  "name": "app", "version": "1.0.0", "license": "MIT",
  "dependencies": {"is-odd": "^3.0.0", "is-number": "^7.0.0", "num": "npm:is-number@^6.0.0", "once": "^1.4.0",
    "peerer": "file:./peerer-1.0.0.tgz"},
  "devDependencies": {"isarray": "^2.0.0"},
  "optionalDependencies": {"fsevents": "^2.0.0", "ee-first": "1.1.1"}
}"#;

/// A directory, a repository, and workspaces that need one another. `@` stands for the repository.
const LOCAL: &str = r#"{
  "name": "app", "version": "1.0.0", "license": "MIT", "private": true,
  "workspaces": ["packages/*"],
  "dependencies": {"lib": "file:./lib", "gitpkg": "git+file://@"}
}"#;

/// A copy of an environment.
pub struct Copy {
    _directory: TempDir,
    pub path: PathBuf,
}

impl Copy {
    /// Removes a file or a directory.
    pub fn remove(&self, path: &str) {
        let path = self.path.join(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }

    /// Replaces a text in a file. The file is a new one, which npm notices.
    pub fn edit(&self, path: &str, old: &str, new: &str) {
        let path = self.path.join(path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{}: {text}", path.display());
        fs::remove_file(&path).unwrap();
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
    }

    /// Adds a package.
    pub fn add(&self, path: &str, manifest: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("package.json"), manifest).unwrap();
    }
}

/// A copy of the environment `plain` or `local` that this package manager made.
pub fn copy(manager: &str, name: &str) -> Copy {
    let source = environment(manager, name);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("app");
    succeed(super::support::manager("cp").arg("-a").arg(source).arg(&path));
    Copy {
        _directory: directory,
        path,
    }
}

/// An empty project.
pub fn empty() -> Copy {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("app");
    fs::create_dir(&path).unwrap();
    Copy {
        _directory: directory,
        path,
    }
}

/// Makes an environment unless it exists. Different environments are made at the same time.
fn environment(name: &str, kind: &str) -> PathBuf {
    static LOCKS: OnceLock<Mutex<HashMap<String, Arc<Mutex<()>>>>> = OnceLock::new();
    let key = format!("{name}-{kind}-{REVISION}");
    let lock = {
        let locks = LOCKS.get_or_init(Mutex::default);
        let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(key.clone()).or_default())
    };
    let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let path = tools().join("node-environments").join(&key);
    let made = path.with_extension("made");
    if !made.exists() {
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        if kind == "plain" {
            make_plain(&path);
        } else {
            make_local(name, &path);
        }
        install(name, &path);
        fs::write(made, "").unwrap();
    }
    path
}

fn install(name: &str, path: &Path) {
    let mut command = manager(name);
    command.arg("install").current_dir(path);
    match name {
        "npm" => {}
        "pnpm" => {
            command.arg("--no-frozen-lockfile");
        }
        _ => {
            command.args(["--ignore-scripts", "--non-interactive", "--no-progress"]);
        }
    }
    succeed(&mut command);
}

fn make_plain(path: &Path) {
    fs::write(path.join("package.json"), PLAIN).unwrap();
    let package = path.join("package");
    fs::create_dir(&package).unwrap();
    fs::write(
        package.join("package.json"),
        r#"{"name": "peerer", "version": "1.0.0", "peerDependencies": {"once": "^1.0.0", "other": "1"},
            "peerDependenciesMeta": {"other": {"optional": true}}}"#,
    )
    .unwrap();
    let archive = path.join("peerer-1.0.0.tgz");
    succeed(
        manager("tar")
            .arg("-czf")
            .arg(archive)
            .args(["-C"])
            .arg(path)
            .arg("package"),
    );
    fs::remove_dir_all(package).unwrap();
}

fn make_local(name: &str, path: &Path) {
    let repository = repository();
    let manifest = LOCAL.replace('@', &repository.display().to_string());
    fs::write(path.join("package.json"), manifest).unwrap();
    let write = |place: &str, text: &str| {
        fs::create_dir_all(path.join(place)).unwrap();
        fs::write(path.join(place).join("package.json"), text).unwrap();
    };
    write("lib", r#"{"name": "lib", "version": "1.0.0"}"#);
    let range = if name == "pnpm" {
        "workspace:^1.0.0"
    } else {
        "^1.0.0"
    };
    write(
        "packages/one",
        &format!(
            r#"{{"name": "one", "version": "1.0.0", "dependencies": {{"two": "{range}", "once": "^1.4.0"}}}}"#
        ),
    );
    write(
        "packages/two",
        r#"{"name": "two", "version": "1.1.0", "devDependencies": {"isarray": "^2.0.0"}}"#,
    );
    if name == "pnpm" {
        fs::write(path.join("pnpm-workspace.yaml"), "packages: ['packages/*']\n").unwrap();
    }
}

/// A bare repository with a package, whose path is the same in all runs.
fn repository() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let bare = tools().join("node-environments/gitpkg.git");
        if bare.join("made").exists() {
            return bare;
        }
        let _ = fs::remove_dir_all(&bare);
        fs::create_dir_all(bare.parent().unwrap()).unwrap();
        let work = tempfile::tempdir().unwrap();
        fs::write(
            work.path().join("package.json"),
            r#"{"name": "gitpkg", "version": "1.2.0"}"#,
        )
        .unwrap();
        let script = "git init -q -b main && git add -A && git -c user.email=t@localhost -c user.name=t commit -q -m one \
                      && git clone -q --bare . \"$BARE\"";
        succeed(
            manager("sh")
                .args(["-c", script])
                .env("BARE", &bare)
                .current_dir(work.path()),
        );
        fs::write(bare.join("made"), "").unwrap();
        bare
    })
    .clone()
}
