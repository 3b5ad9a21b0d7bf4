//! The metadata of installed packages: the head of `METADATA` or `PKG-INFO`, and `requires.txt` of old packages.

use std::str::FromStr;

use pep440_rs::Version;

use super::name::Name;

/// The facts of one package's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The name as written.
    pub name: Option<String>,
    /// The version as written.
    pub version: Option<String>,
    /// The requirements as written, in the form of PEP 508.
    pub requires: Vec<String>,
}

/// A directory or file of `site-packages` that describes a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName {
    /// The name that its file name gives.
    pub name: Name,
    /// What it is.
    pub kind: EntryKind,
}

/// The form of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// `name-version.dist-info`, a directory with `METADATA`.
    DistInfo,
    /// `name-version-py3.11.egg-info`, a directory with `PKG-INFO`, or that file itself.
    EggInfo,
    /// `name.egg-link`, which names the directory of a package in development.
    EggLink,
    /// `name-version-py3.11.egg`, a directory with `EGG-INFO/PKG-INFO`.
    Egg,
}

impl EntryName {
    /// Parses a file name; `None` if it describes no package. Names that start with `~` are left by an interrupted pip.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (stem, suffix) = file_name.rsplit_once('.')?;
        let kind = match suffix {
            "dist-info" => EntryKind::DistInfo,
            "egg-info" => EntryKind::EggInfo,
            "egg-link" => EntryKind::EggLink,
            "egg" => EntryKind::Egg,
            _ => return None,
        };
        let name = Name::parse(stem.split('-').next()?)?;
        Some(Self { name, kind })
    }
}

impl Metadata {
    /// Parses the headers (core metadata specification: the format of e-mails). Bytes that are not UTF-8 are replaced.
    pub fn parse(head: &[u8]) -> Self {
        let mut metadata = Self::default();
        for line in head.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            // A line that starts with a space continues a header. None of these three has several lines.
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let value = || String::from_utf8_lossy(&line[colon + 1..]).trim().to_owned();
            match &line[..colon] {
                key if key.eq_ignore_ascii_case(b"Name") => metadata.name = Some(value()),
                key if key.eq_ignore_ascii_case(b"Version") => metadata.version = Some(value()),
                key if key.eq_ignore_ascii_case(b"Requires-Dist") => metadata.requires.push(value()),
                _ => {}
            }
        }
        metadata
    }

    /// The parsed version.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_version(&self) -> Result<Version, String> {
        let text = self.version.as_deref().ok_or("its metadata has no version")?;
        Version::from_str(text).map_err(|_| format!("its version \"{text}\" does not follow PEP 440"))
    }
}

/// Whether what was read has all headers: they end at an empty line.
pub fn is_head_complete(head: &[u8]) -> bool {
    memmem(head, b"\n\n") || memmem(head, b"\r\n\r\n")
}

fn memmem(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Converts `requires.txt` of an `.egg-info` to requirements. Its sections are `[extra]`, `[:marker]` and `[extra:marker]`.
pub fn parse_requires(text: &str) -> Vec<String> {
    let mut requires = Vec::new();
    let mut condition = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (extra, marker) = section.split_once(':').unwrap_or((section, ""));
            condition = match (extra.trim(), marker.trim()) {
                ("", marker) => marker.to_owned(),
                (extra, "") => format!("extra == \"{extra}\""),
                (extra, marker) => format!("({marker}) and extra == \"{extra}\""),
            };
            continue;
        }
        requires.push(match condition.as_str() {
            "" => line.to_owned(),
            condition => format!("{line} ; {condition}"),
        });
    }
    requires
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::python::requirement::Requirement;

    #[test]
    fn headers_are_read_until_the_empty_line() {
        let text =
            b"Metadata-Version: 2.1\nname: Foo.Bar\nVersion: 1.2.post1\nLicense: MIT\n        Version: 9\n\
                     Requires-Dist: a >=1\nRequires-Dist: b ; extra == 'x'\r\nSummary: \xff\n\nName: other\n";
        let metadata = Metadata::parse(text);
        assert_eq!(metadata.name.as_deref(), Some("Foo.Bar"));
        assert_eq!(metadata.parse_version().unwrap().to_string(), "1.2.post1");
        assert_eq!(metadata.requires, ["a >=1", "b ; extra == 'x'"]);
        assert!(is_head_complete(text) && !is_head_complete(b"Name: a\n"));
        assert!(Metadata::parse(b"").parse_version().is_err());
        assert!(Metadata::parse(b"Version: 2004d").parse_version().is_err());
    }

    #[test]
    fn file_names_give_the_name() {
        let parse = |name| EntryName::parse(name).map(|entry| (entry.name.to_string(), entry.kind));
        for (file_name, name, kind) in [
            ("ruamel.yaml-0.18.dist-info", "ruamel-yaml", EntryKind::DistInfo),
            ("Foo_Bar-1.0-py3.11.egg-info", "foo-bar", EntryKind::EggInfo),
            ("six.egg-info", "six", EntryKind::EggInfo),
            ("app.egg-link", "app", EntryKind::EggLink),
            ("zope.event-4.6-py3.11.egg", "zope-event", EntryKind::Egg),
        ] {
            assert_eq!(parse(file_name), Some((name.to_owned(), kind)));
        }
        for file_name in [
            "~umpy-1.0.dist-info",
            "numpy",
            "a.py",
            ".dist-info",
            "-1.dist-info",
        ] {
            assert_eq!(parse(file_name), None, "{file_name}");
        }
    }

    #[test]
    fn sections_become_markers() {
        let text = "a>=1\n\n# no\n[:python_version < \"3.8\"]\nb\n[x]\nc==2\n[y:os_name == \"nt\" or os_name == \"posix\"]\nd\n";
        let requires = parse_requires(text);
        assert_eq!(
            requires,
            [
                "a>=1",
                "b ; python_version < \"3.8\"",
                "c==2 ; extra == \"x\"",
                "d ; (os_name == \"nt\" or os_name == \"posix\") and extra == \"y\"",
            ]
        );
        assert!(requires.iter().all(|text| Requirement::parse(text).is_ok()));
    }
}
