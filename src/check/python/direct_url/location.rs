//! Addresses of packages, in a form that can be compared.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

/// A URL in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path of this machine.
    Path(PathBuf),
    /// Anything else, without scheme prefix of a version control system, credentials, fragment and `.git`.
    Url(String),
}

impl Location {
    /// Parses an absolute URL or path.
    pub fn parse(url: &str) -> Self {
        Self::parse_in(url, Path::new("/"))
    }

    /// Parses a URL or path. Relative paths start at `directory`.
    pub fn parse_in(text: &str, directory: &Path) -> Self {
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
                // What follows may be a password with characters that must be encoded.
                Some((scheme, rest)) if rest.starts_with("//") => Self::Url(format!("a faulty {scheme} URL")),
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

    /// A path without `.` and `..`.
    pub fn from_path(path: &Path) -> Self {
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
