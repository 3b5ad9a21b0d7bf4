//! Where a package was installed from (PEP 610, `direct_url.json`), and where it must come from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

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
}

/// What is at the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceKind {
    /// A directory or an archive.
    Files,
    /// A directory, installed so that changes in it take effect.
    Editable,
    /// A repository. The commit is known in locks, the revision in requirements.
    Repository {
        revision: Option<String>,
        commit: Option<String>,
    },
}

/// A URL in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Location {
    /// A path of this machine.
    Path(PathBuf),
    /// Anything else, without scheme prefix of a version control system, credentials, fragment and `.git`.
    Url(String),
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

    /// Whether it was installed from this directory.
    pub fn is_from_directory(&self, directory: &Path) -> bool {
        self.dir_info.is_some() && Location::parse(&self.url) == Location::from_path(directory)
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
        }
    }

    /// The same source, installed so that changes in it take effect. Repositories are cloned somewhere, so they keep their kind.
    #[must_use]
    pub fn into_editable(mut self) -> Self {
        if self.kind == SourceKind::Files {
            self.kind = SourceKind::Editable;
        }
        self
    }

    /// The directory or archive, if it is on this machine and not a repository.
    pub fn path(&self) -> Option<&Path> {
        match (&self.location, &self.kind) {
            (Location::Path(path), SourceKind::Files | SourceKind::Editable) => Some(path),
            _ => None,
        }
    }

    /// Whether changes in it must take effect.
    pub fn is_editable(&self) -> bool {
        self.kind == SourceKind::Editable
    }

    /// Whether a package with this origin satisfies the requirement.
    pub fn matches(&self, installed: &DirectUrl) -> bool {
        if Location::parse(&installed.url) != self.location || installed.subdirectory != self.subdirectory {
            return false;
        }
        match (&self.kind, &installed.vcs_info) {
            (SourceKind::Files, None) => !installed.is_editable(),
            (SourceKind::Editable, None) => installed.is_editable(),
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
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::Files => write!(f, "{}", self.location),
            SourceKind::Editable => write!(f, "editable {}", self.location),
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

impl Location {
    fn parse(url: &str) -> Self {
        Self::parse_in(url, Path::new("/"))
    }

    fn parse_in(text: &str, directory: &Path) -> Self {
        let text = text.split('#').next().unwrap_or(text);
        let text = split_vcs(text).map_or(text, |(_, address)| address);
        // pip reads `file:path` as a relative path.
        let relative = text.strip_prefix("file:").filter(|path| !path.starts_with("//"));
        if let Some(path) = relative {
            return Self::from_path(&directory.join(path));
        }
        let Ok(mut url) = Url::parse(text) else {
            // `git@host:path` and paths.
            return match text.split_once(':') {
                Some((host, path)) if !host.contains('/') => Self::Url(trim(&format!("{host}/{path}"))),
                _ => Self::from_path(&directory.join(text)),
            };
        };
        if url.scheme() == "file" {
            return match url.to_file_path() {
                Ok(path) => Self::from_path(&path),
                Err(()) => Self::Url(trim(text)),
            };
        }
        // They are secrets, and do not change what is there. URLs without a host have none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Self::Url(trim(url.as_str()))
    }

    fn from_path(path: &Path) -> Self {
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
        Self::Path(normal)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            // A query may have a token.
            Self::Url(url) => f.write_str(url.split('?').next().unwrap_or(url)),
        }
    }
}

fn trim(url: &str) -> String {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}

/// Splits `git+https://…` into the system and the address.
pub fn split_vcs(url: &str) -> Option<(&str, &str)> {
    let (vcs, address) = url.split_once('+')?;
    matches!(vcs, "git" | "hg" | "svn" | "bzr").then_some((vcs, address))
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
        assert!(editable.is_from_directory(Path::new("/srv/my app")));
        assert!(!archive.is_from_directory(Path::new("/srv/w/a-1-py3-none-any.whl")));
        assert_eq!(editable.to_string(), "editable /srv/my app");
    }

    #[test]
    fn a_faulty_file_has_an_error() {
        for json in ["", "{}", "[]", r#"{"url": 1}"#, "\u{0}"] {
            assert!(DirectUrl::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
