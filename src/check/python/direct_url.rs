//! Where a package was installed from (PEP 610, `direct_url.json`), and where it must come from.

mod location;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::location::Location;
pub use self::location::split_vcs;

/// The origin that the installer recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DirectUrl {
    url: String,
    #[serde(default)]
    vcs_info: Option<VcsInfo>,
    #[serde(default)]
    dir_info: Option<DirInfo>,
    #[serde(default)]
    subdirectory: Option<String>,
    /// The path of the URL without symbolic links.
    #[serde(skip)]
    resolved: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct VcsInfo {
    commit_id: String,
    #[serde(default)]
    requested_revision: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct DirInfo {
    #[serde(default)]
    editable: bool,
}

/// The origin that a requirement demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The URL without fragment, credentials and revision.
    location: Location,
    /// What is there.
    kind: SourceKind,
    /// The directory of the package in a repository or an archive.
    subdirectory: Option<String>,
    /// The path of the location without symbolic links. A file can name a directory by a link, and the installer record its target.
    resolved: Option<PathBuf>,
}

/// What is at the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceKind {
    /// A directory or an archive.
    Files,
    /// A directory, installed so that changes in it take effect.
    Editable,
    /// A directory, installed as [`Self::Editable`] or as [`Self::Files`].
    Project,
    /// A repository. The commit is known in locks, the revision in requirements.
    Repository {
        revision: Option<String>,
        commit: Option<String>,
    },
    /// A repository that is cloned into a directory, from which it is installed as [`Self::Editable`]. The installer records that
    /// directory, and neither address nor revision.
    Clone,
    /// Unknown, because the URL has variables.
    Unknown,
}

impl DirectUrl {
    /// Parses the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json)
            .map_err(|error| format!("direct_url.json does not follow PEP 610 (line {})", error.line()))
    }

    /// Whether the package is installed from a directory so that changes in it take effect.
    pub fn is_editable(&self) -> bool {
        self.dir_info.as_ref().is_some_and(|info| info.editable)
    }

    /// Resolves the path, if the URL is one.
    ///
    /// # Errors
    /// Those of `resolve`.
    pub fn resolve<E>(&mut self, resolve: impl FnOnce(&Path) -> Result<Option<PathBuf>, E>) -> Result<(), E> {
        if let Location::Path(path) = Location::parse(&self.url) {
            self.resolved = resolve(&path)?;
        }
        Ok(())
    }
}

impl fmt::Display for DirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_editable() {
            f.write_str("editable ")?;
        }
        write!(f, "{}", Location::parse(&self.url))?;
        if let Some(info) = &self.vcs_info {
            let revision = info.requested_revision.as_deref().unwrap_or(&info.commit_id);
            write!(f, "@{revision}")?;
        }
        Ok(())
    }
}

impl Source {
    /// The source of a requirement's URL. Relative paths start at `directory`.
    pub fn from_url(url: &str, directory: &Path) -> Self {
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        let subdirectory = fragment
            .split('&')
            .find_map(|part| part.strip_prefix("subdirectory="))
            .map(str::to_owned);
        let Some((_, address)) = split_vcs(url) else {
            return Self {
                location: Location::parse_in(url, directory),
                kind: SourceKind::Files,
                subdirectory,
                resolved: None,
            };
        };
        // The revision follows an @ in the path, not the one of a user.
        let path_start = address.find("://").map_or(0, |at| at + 3);
        let path_start = address[path_start..]
            .find('/')
            .map_or(address.len(), |at| path_start + at);
        let (address, revision) = match address[path_start..].rfind('@') {
            Some(at) => (
                &address[..path_start + at],
                Some(address[path_start + at + 1..].to_owned()),
            ),
            None => (address, None),
        };
        Self {
            location: Location::parse_in(address, directory),
            kind: SourceKind::Repository {
                revision,
                commit: None,
            },
            subdirectory,
            resolved: None,
        }
    }

    /// A commit of a repository, as a lock pins it. `url` may have a query and a fragment.
    pub fn from_commit(url: &str, commit: &str, subdirectory: Option<&str>) -> Self {
        Self {
            location: Location::parse(url.split(['?', '#']).next().unwrap_or(url)),
            kind: SourceKind::Repository {
                revision: None,
                commit: Some(commit.to_owned()),
            },
            subdirectory: subdirectory.map(str::to_owned),
            resolved: None,
        }
    }

    /// A directory or an archive of this machine.
    pub fn from_path(path: &Path, is_editable: bool) -> Self {
        Self {
            location: Location::from_path(path),
            kind: if is_editable {
                SourceKind::Editable
            } else {
                SourceKind::Files
            },
            subdirectory: None,
            resolved: None,
        }
    }

    /// A directory of this machine whose lock file does not say how it is installed.
    pub fn from_project(path: &Path) -> Self {
        Self {
            kind: SourceKind::Project,
            ..Self::from_path(path, true)
        }
    }

    /// The same source, installed so that changes in it take effect.
    #[must_use]
    pub fn into_editable(mut self) -> Self {
        self.kind = match self.kind {
            SourceKind::Files => SourceKind::Editable,
            SourceKind::Repository { .. } => SourceKind::Clone,
            other => other,
        };
        self
    }

    /// The same source, whose variables have unknown values.
    #[must_use]
    pub fn into_unknown(mut self) -> Self {
        self.kind = SourceKind::Unknown;
        self
    }

    /// Whether the address or the revision has variables. Those of credentials do not matter.
    pub fn has_variables(&self) -> bool {
        let has_variable = |text: &str| text.contains("${") || text.contains("$%7B");
        let in_address = match &self.location {
            Location::Path(path) => has_variable(&path.to_string_lossy()),
            Location::Url(url) => has_variable(url),
        };
        let in_revision = match &self.kind {
            SourceKind::Repository { revision, .. } => revision.as_deref().is_some_and(has_variable),
            _ => false,
        };
        in_address || in_revision
    }

    /// Whether the values of the variables are unknown.
    pub fn is_unknown(&self) -> bool {
        self.kind == SourceKind::Unknown
    }

    /// The directory or archive, if it is on this machine and not a repository.
    pub fn path(&self) -> Option<&Path> {
        match (&self.location, &self.kind) {
            (Location::Path(path), SourceKind::Files | SourceKind::Editable | SourceKind::Project) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether a command installs it so that changes in it take effect.
    pub fn is_editable(&self) -> bool {
        matches!(self.kind, SourceKind::Editable | SourceKind::Project)
    }

    /// Resolves the path, if the location is one.
    ///
    /// # Errors
    /// Those of `resolve`.
    pub fn resolve<E>(&mut self, resolve: impl FnOnce(&Path) -> Result<Option<PathBuf>, E>) -> Result<(), E> {
        if let Location::Path(path) = &self.location {
            self.resolved = resolve(path)?;
        }
        Ok(())
    }

    /// Whether a package was installed from this address, in whatever form and revision.
    pub fn is_address_of(&self, installed: &DirectUrl) -> bool {
        let is_same_path = self.resolved.is_some() && self.resolved == installed.resolved;
        (is_same_path || Location::parse(&installed.url) == self.location)
            && installed.subdirectory == self.subdirectory
    }

    /// Whether a directory is the one of this source, or below it.
    pub fn contains(&self, directory: &Path) -> bool {
        let paths = [self.path(), self.resolved.as_deref()];
        self.path().is_some()
            && paths
                .into_iter()
                .flatten()
                .any(|path| directory.starts_with(path))
    }

    /// Whether a package with this origin satisfies the requirement.
    pub fn matches(&self, installed: &DirectUrl) -> bool {
        match self.kind {
            SourceKind::Unknown => return true,
            SourceKind::Clone => return installed.is_editable(),
            _ if !self.is_address_of(installed) => return false,
            _ => {}
        }
        match (&self.kind, &installed.vcs_info) {
            (SourceKind::Files, None) => !installed.is_editable(),
            (SourceKind::Editable, None) => installed.is_editable(),
            (SourceKind::Project, None) => true,
            (SourceKind::Repository { revision, commit }, Some(info)) => {
                let is_commit = commit.as_ref().is_none_or(|commit| *commit == info.commit_id);
                let is_revision = match revision {
                    None => true,
                    Some(revision) => {
                        info.requested_revision.as_ref() == Some(revision) || *revision == info.commit_id
                    }
                };
                is_commit && is_revision
            }
            _ => false,
        }
    }

    /// Whether a package without a recorded origin satisfies the requirement. `develop` is the directory of a package in development.
    pub fn matches_develop(&self, develop: Option<&Path>) -> bool {
        match self.kind {
            SourceKind::Unknown => true,
            SourceKind::Clone => develop.is_some(),
            SourceKind::Editable | SourceKind::Project => develop.is_some_and(|at| self.contains(at)),
            SourceKind::Files | SourceKind::Repository { .. } => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::Files | SourceKind::Unknown => write!(f, "{}", self.location),
            SourceKind::Editable | SourceKind::Project | SourceKind::Clone => {
                write!(f, "editable {}", self.location)
            }
            SourceKind::Repository { revision, commit } => {
                write!(f, "{}", self.location)?;
                match revision.as_ref().or(commit.as_ref()) {
                    Some(revision) => write!(f, "@{revision}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(json: &str) -> DirectUrl {
        DirectUrl::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_repository_is_compared_by_address_and_revision() {
        let tagged = installed(
            r#"{"url": "https://code.test/a/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "v1"}}"#,
        );
        let matches = |url: &str| Source::from_url(url, Path::new("/")).matches(&tagged);
        assert!(matches("git+https://code.test/a/b@v1"));
        assert!(matches("git+https://user:secret@code.test/a/b.git@v1#egg=b"));
        assert!(matches("git+https://code.test/a/b@abc"));
        assert!(matches("git+https://user@code.test/a/b.git"));
        assert!(!matches("git+https://code.test/a/b@v2"));
        assert!(!matches("git+https://code.test/a/c@v1"));
        assert!(!matches("git+https://code.test/a/b@v1#subdirectory=x"));
        assert!(!matches("https://code.test/a/b"));
        assert!(Source::from_commit("https://code.test/a/b?rev=v1#abc", "abc", None).matches(&tagged));
        assert!(!Source::from_commit("https://code.test/a/b", "abd", None).matches(&tagged));
        assert_eq!(tagged.to_string(), "https://code.test/a/b@v1");
        for (url, shown) in [
            (
                "git+https://user:secret@code.test/a/b.git@v1",
                "https://code.test/a/b@v1",
            ),
            (
                "https://secret@code.test/a.zip?token=secret#x",
                "https://code.test/a.zip",
            ),
        ] {
            assert_eq!(Source::from_url(url, Path::new("/")).to_string(), shown);
        }
    }

    #[test]
    fn a_path_is_relative_to_its_file() {
        let editable = installed(r#"{"url": "file:///srv/my%20app", "dir_info": {"editable": true}}"#);
        let plain = installed(r#"{"url": "file:///srv/my%20app", "dir_info": {}}"#);
        let archive = installed(r#"{"url": "file:///srv/w/a-1-py3-none-any.whl", "archive_info": {}}"#);
        for path in [
            "../my app",
            "/srv/my app",
            "file:///srv/my%20app/",
            "file:../my app",
        ] {
            let source = Source::from_url(path, Path::new("/srv/requirements"));
            assert!(source.matches(&plain) && !source.matches(&editable), "{path}");
            let source = source.into_editable();
            assert!(source.matches(&editable) && !source.matches(&plain), "{path}");
            assert!(!source.matches(&archive), "{path}");
        }
        let wheel = Source::from_url("./w/a-1-py3-none-any.whl", Path::new("/srv"));
        assert!(wheel.matches(&archive));
        assert_eq!(editable.to_string(), "editable /srv/my app");
    }

    #[test]
    fn an_editable_repository_is_a_directory_when_it_is_installed() {
        let clone = installed(r#"{"url": "file:///srv/.venv/src/b", "dir_info": {"editable": true}}"#);
        let copy = installed(r#"{"url": "file:///srv/.venv/src/b", "dir_info": {}}"#);
        let source = Source::from_url("git+https://code.test/a/b@v1#egg=b", Path::new("/"));
        assert!(!source.matches(&clone) && !source.is_address_of(&clone));
        let source = source.into_editable();
        assert!(source.matches(&clone) && !source.matches(&copy));
        assert!(source.matches_develop(Some(Path::new("/srv/.venv/src/b"))) && !source.matches_develop(None));
        assert_eq!(source.to_string(), "editable https://code.test/a/b");
        let has_variables = |url| Source::from_url(url, Path::new("/srv")).has_variables();
        for url in [
            "${HOME}/b",
            "https://x.test/a.whl?t=${TOKEN}",
            "git+https://x.test/a@${REVISION}",
        ] {
            assert!(has_variables(url), "{url}");
        }
        assert!(!has_variables("git+https://${TOKEN}@x.test/a@v1"));
        let unknown = Source::from_url("${HOME}/b", Path::new("/")).into_unknown();
        assert!(unknown.is_unknown() && unknown.matches(&copy) && unknown.matches_develop(None));
        assert_eq!((source.path(), unknown.path()), (None, None));
    }

    #[test]
    fn a_faulty_url_is_not_shown() {
        for url in [
            "https://user:se#cret@code.test/a",
            "https://user:se/cret@code.test/a",
        ] {
            let shown = Source::from_url(url, Path::new("/")).to_string();
            assert_eq!(shown, "a faulty https URL");
        }
    }

    #[test]
    fn a_faulty_file_has_an_error() {
        for json in ["", "{}", "[]", r#"{"url": 1}"#, "\u{0}"] {
            assert!(DirectUrl::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
