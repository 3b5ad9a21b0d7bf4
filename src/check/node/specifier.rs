//! Parses the specifier of a requirement: a range, a tag, an alias, a repository, a file or a URL. The rules are those of npm
//! (npm-package-arg), with the protocols of pnpm and yarn.

use super::range::{Range, parse_version};

/// What a requirement accepts.
#[derive(Clone, Debug)]
pub enum Specifier {
    /// A version or a range of versions.
    Range(Range),
    /// Any version: an empty specifier, `*`, or a tag such as `latest`. What a tag means is known only to the registry.
    Any,
    /// Another package under this name: `npm:name@range`.
    Alias {
        /// The name of the package itself.
        name: String,
        /// The range of its versions.
        inner: Box<Self>,
    },
    /// A Git repository.
    Git {
        /// The commit, if the specifier has a complete one.
        commit: Option<String>,
        /// The range after `#semver:`.
        range: Option<Range>,
    },
    /// A directory: its path as written.
    Directory(String),
    /// A package file on this machine.
    Tarball,
    /// A package file at a URL.
    Remote(String),
    /// A workspace, with a range if one is given.
    Workspace(Option<Range>),
    /// Something that only the package manager can resolve, such as `catalog:`.
    Other,
}

impl Specifier {
    /// Parses a specifier.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() || text == "*" {
            return Self::Any;
        }
        if let Some((protocol, rest)) = text.split_once(':')
            && let Some(found) = Self::from_protocol(protocol, rest, text)
        {
            return found;
        }
        if is_path(text) {
            return path(text);
        }
        if let Some(range) = Range::parse(text) {
            return Self::Range(range);
        }
        // `user/repository` at the default host, or `git@host:path`.
        if text.contains('/') || text.starts_with("git@") {
            return git(text);
        }
        Self::Any
    }

    fn from_protocol(protocol: &str, rest: &str, text: &str) -> Option<Self> {
        Some(match protocol {
            "npm" | "jsr" => {
                let name_ends = rest.get(1..).and_then(|tail| tail.find('@'));
                let (name, range) = match name_ends {
                    Some(at) => (&rest[..at + 1], &rest[at + 2..]),
                    None => (rest, ""),
                };
                // pnpm and yarn: `npm:^1.2.3` is a range of the package itself.
                if Range::parse(name).is_some() {
                    return Some(Self::parse(name));
                }
                Self::Alias {
                    name: name.to_owned(),
                    inner: Box::new(match Self::parse(range) {
                        range @ Self::Range(_) => range,
                        _ => Self::Any,
                    }),
                }
            }
            "file" => path(rest.strip_prefix("//").unwrap_or(rest)),
            "link" | "portal" => Self::Directory(rest.to_owned()),
            "workspace" if matches!(rest, "" | "*" | "^" | "~") => Self::Workspace(None),
            "workspace" => Self::Workspace(Range::parse(rest)),
            "catalog" | "patch" => Self::Other,
            "http" | "https" if !is_repository_url(rest) => Self::Remote(text.to_owned()),
            "http" | "https" | "git" | "ssh" | "github" | "gitlab" | "bitbucket" | "gist" => git(text),
            _ if protocol.starts_with("git+") => git(text),
            _ => return None,
        })
    }

    /// Whether a package with this version satisfies the specifier, as far as the version can show. A missing or invalid version
    /// satisfies only specifiers without a range.
    pub fn accepts(&self, version: Option<&str>) -> bool {
        let range = match self {
            Self::Range(range) | Self::Workspace(Some(range)) => range,
            Self::Git {
                range: Some(range), ..
            } => range,
            Self::Alias { inner, .. } => return inner.accepts(version),
            _ => return true,
        };
        version
            .and_then(parse_version)
            .is_some_and(|version| range.contains(&version))
    }

    /// The name of the package itself if it is installed under another one.
    pub fn package_name(&self) -> Option<&str> {
        match self {
            Self::Alias { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether the registry has the package, so that a version or range of it can be requested.
    pub const fn is_from_registry(&self) -> bool {
        matches!(self, Self::Range(_) | Self::Any | Self::Alias { .. })
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with("./")
        || text.starts_with("../")
        || text.starts_with('/')
        || text.starts_with("~/")
        || matches!(text, "." | "..")
}

/// Whether a path has an ending of package files.
pub fn is_tarball(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".tgz", ".tar.gz", ".tar"]
        .iter()
        .any(|ending| path.ends_with(ending))
}

fn path(text: &str) -> Specifier {
    if is_tarball(text) {
        Specifier::Tarball
    } else {
        Specifier::Directory(text.to_owned())
    }
}

/// Whether the rest of an HTTP URL names a repository: it ends in `.git`, before a fragment.
fn is_repository_url(rest: &str) -> bool {
    rest.split('#').next().unwrap_or_default().ends_with(".git")
}

fn git(text: &str) -> Specifier {
    let fragment = text.split_once('#').map(|(_, fragment)| fragment);
    let parts = || fragment.into_iter().flat_map(|fragment| fragment.split('&'));
    let range = parts().find_map(|part| part.strip_prefix("semver:"));
    Specifier::Git {
        commit: parts().find(|part| is_commit(part)).map(str::to_lowercase),
        range: range.and_then(|range| Range::parse(&range.replace("%20", " "))),
    }
}

/// Whether a text is a complete commit hash (SHA-1 or SHA-256).
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> String {
        match Specifier::parse(text) {
            Specifier::Range(_) => "range".into(),
            Specifier::Any => "any".into(),
            Specifier::Alias { name, inner } => {
                let is_range = matches!(*inner, Specifier::Range(_));
                format!("alias {name} {}", if is_range { "range" } else { "any" })
            }
            Specifier::Git { commit, range } => {
                format!(
                    "git {}{}",
                    commit.unwrap_or_default(),
                    if range.is_some() { "range" } else { "" }
                )
            }
            Specifier::Directory(path) => format!("directory {path}"),
            Specifier::Tarball => "tarball".into(),
            Specifier::Remote(url) => format!("remote {url}"),
            Specifier::Workspace(range) => format!("workspace {}", range.is_some()),
            Specifier::Other => "other".into(),
        }
    }

    #[test]
    fn every_form_is_recognized() {
        let commit = "0123456789abcdef0123456789ABCDEF01234567";
        let git_commit = format!("git {}", commit.to_lowercase());
        for (text, expected) in [
            ("", "any"),
            ("*", "any"),
            ("latest", "any"),
            ("next-11", "any"),
            ("v", "any"),
            ("xyz", "any"),
            ("x", "range"),
            ("1", "range"),
            ("1.x || >=2.5.0 || 5.0.0 - 7.2.3", "range"),
            (">= 1.0.0", "range"),
            ("v1.2.3", "range"),
            ("=1.2.3", "range"),
            ("^1.2.3-beta.1", "range"),
            ("npm:is-number@^7", "alias is-number range"),
            ("npm:@scope/name", "alias @scope/name any"),
            ("npm:@scope/name@next", "alias @scope/name any"),
            ("npm:^1.2.3", "range"),
            ("file:../lib", "directory ../lib"),
            ("file:///srv/lib", "directory /srv/lib"),
            ("./lib.tgz", "tarball"),
            ("file:lib.TAR.GZ", "tarball"),
            ("~/lib", "directory ~/lib"),
            ("link:../lib", "directory ../lib"),
            ("workspace:*", "workspace false"),
            ("workspace:^", "workspace false"),
            ("workspace:^1.0.0", "workspace true"),
            ("catalog:", "other"),
            ("user/repository", "git "),
            ("github:user/repository#semver:^1.0.0", "git range"),
            ("git+ssh://git@host.invalid/a/b.git#main", "git "),
            ("git@host.invalid:a/b.git", "git "),
            ("http://host.invalid/a.git#semver:1.x%20||%202.x", "git range"),
            ("http://host.invalid/a.tgz", "remote http://host.invalid/a.tgz"),
            (&format!("a/b#{commit}"), &git_commit),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_are_compared_as_npm_does() {
        for (specifier, version, expected) in [
            ("^1.2.3", "1.9.0", true),
            ("^1.2.3", "2.0.0", false),
            ("^1.2.3", "1.3.0-beta", false),
            ("^1.3.0-alpha", "1.3.0-beta", true),
            ("^0.0.3", "0.0.4", false),
            ("~1.2", "1.2.9", true),
            ("1.2.3 - 2", "2.9.9", true),
            ("*", "1.0.0-beta", true),
            ("latest", "0.1.0-beta", true),
            ("<1 || >=3", "2.0.0", false),
            ("npm:a@^2", "2.1.0", true),
            ("npm:a@^2", "1.0.0", false),
            ("workspace:~1.1.0", "1.2.0", false),
            ("a/b#semver:^3", "3.4.5", true),
            ("a/b#semver:^3", "2.0.0", false),
            ("1.2.3", "v1.2.3", true),
            ("1.2.3", "1.2.3+build", true),
        ] {
            assert_eq!(
                Specifier::parse(specifier).accepts(Some(version)),
                expected,
                "{specifier} {version}"
            );
        }
        assert!(!Specifier::parse("1").accepts(None));
        assert!(!Specifier::parse("1").accepts(Some("?")));
        assert!(Specifier::parse("file:a").accepts(None));
    }
}
