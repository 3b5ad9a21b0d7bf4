//! Parses `yarn.lock` of yarn 1. Its format resembles YAML, but is its own: yarn's `lockfile/parse.js`.

use std::collections::HashMap;

/// The parsed lock: which version each requested pattern resolves to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct YarnLock {
    /// The resolved packages.
    pub packages: Vec<YarnPackage>,
    /// The index of the package for each pattern, such as `lodash@^4.17.0`.
    patterns: HashMap<String, usize>,
}

/// A resolved package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct YarnPackage {
    /// The version.
    pub version: Option<String>,
    /// Where it comes from.
    pub resolved: Option<String>,
    /// What it needs: names, specifiers, and whether it is optional.
    pub requirements: Vec<(String, String, bool)>,
}

/// Why a `yarn.lock` can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum YarnLockError {
    /// It was written by yarn 2 or later.
    #[error(
        "it was written by yarn 2 or later, which is not supported: set lockfile: none to check package.json only"
    )]
    Berry,
    /// It contains markers of an unresolved merge.
    #[error("line {0}: unresolved merge conflict")]
    Conflict(usize),
    /// A line has another form.
    #[error("line {0}: not a line of a yarn.lock")]
    Line(usize),
}

impl YarnLock {
    /// Parses the text of a `yarn.lock`.
    ///
    /// # Errors
    /// At the first line of another form.
    pub fn parse(text: &str) -> Result<Self, YarnLockError> {
        let mut lock = Self::default();
        let mut section = Section::None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim_end();
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if ["<<<<<<<", "=======", ">>>>>>>"]
                .iter()
                .any(|marker| content.starts_with(marker))
            {
                return Err(YarnLockError::Conflict(number));
            }
            if content == "__metadata:" {
                return Err(YarnLockError::Berry);
            }
            let wrong = YarnLockError::Line(number);
            match (line.len() - content.len(), lock.packages.last_mut()) {
                (0, _) => {
                    section = Section::Package;
                    lock.begin_package(content).ok_or(wrong)?;
                }
                (2, Some(_)) if content.ends_with(':') => {
                    section = match content {
                        "dependencies:" => Section::Dependencies,
                        "optionalDependencies:" => Section::OptionalDependencies,
                        _ => Section::Ignored,
                    };
                }
                (2, Some(package)) => {
                    section = Section::Package;
                    let (key, value) = key_value(content).ok_or(wrong)?;
                    match key.as_str() {
                        "version" => package.version = Some(value),
                        "resolved" => package.resolved = Some(value),
                        _ => {}
                    }
                }
                (4, Some(package)) if section.has_requirements() => {
                    let (name, specifier) = key_value(content).ok_or(wrong)?;
                    let is_optional = section == Section::OptionalDependencies;
                    package.requirements.push((name, specifier, is_optional));
                }
                (4, Some(_)) if section == Section::Ignored => {}
                _ => return Err(wrong),
            }
        }
        Ok(lock)
    }

    /// The package that a requirement resolves to.
    pub fn find(&self, name: &str, specifier: &str) -> Option<&YarnPackage> {
        let pattern = if specifier.is_empty() {
            name.to_owned()
        } else {
            format!("{name}@{specifier}")
        };
        let index = self
            .patterns
            .get(&pattern)
            // Without a specifier, yarn writes either form.
            .or_else(|| self.patterns.get(&format!("{name}@")))?;
        self.packages.get(*index)
    }

    fn begin_package(&mut self, line: &str) -> Option<()> {
        let mut rest = line.strip_suffix(':')?;
        let index = self.packages.len();
        loop {
            let (pattern, after) = word(rest, ',')?;
            self.patterns.insert(pattern, index);
            match after.trim_start().strip_prefix(',') {
                Some(next) => rest = next.trim_start(),
                None if after.is_empty() => break,
                None => return None,
            }
        }
        self.packages.push(YarnPackage::default());
        Some(())
    }
}

/// The lines that follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Package,
    Dependencies,
    OptionalDependencies,
    Ignored,
}

impl Section {
    fn has_requirements(self) -> bool {
        matches!(self, Self::Dependencies | Self::OptionalDependencies)
    }
}

/// A key and a value, separated by a space.
fn key_value(line: &str) -> Option<(String, String)> {
    let (key, rest) = word(line, ' ')?;
    let (value, rest) = word(rest.trim_start_matches(' '), ' ')?;
    (!key.is_empty() && rest.is_empty()).then_some((key, value))
}

/// A string in quotes with the escapes of JSON, or a bare word up to `end`. Returns it and the rest.
fn word(text: &str, end: char) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let at = text.find(end).unwrap_or(text.len());
        let word = &text[..at];
        return (!word.is_empty() && !word.contains('"')).then(|| (word.to_owned(), &text[at..]));
    }
    let mut is_escaped = false;
    let closing = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let closes = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        closes
    });
    let (quoted, rest) = text.split_at(closing?.0 + 1);
    serde_json::from_str(quoted).ok().map(|word| (word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/a@^1.0.0", "@s/a@~1.2", b@1:
  version "1.2.3"
  resolved "x#0123"
  integrity sha512-x==
  dependencies:
    "@s/c" "^2.0.0"
    d "1 || 2"
  optionalDependencies:
    e "*"

"f@>= 1.0.0", f@:
  version "0.0.\u0031"
"#;

    #[test]
    fn patterns_lead_to_packages() {
        let lock = YarnLock::parse(LOCK).unwrap();
        assert_eq!(lock.packages.len(), 2);
        for (name, specifier) in [("@s/a", "^1.0.0"), ("@s/a", "~1.2"), ("b", "1")] {
            let package = lock.find(name, specifier).unwrap();
            assert_eq!(package.version.as_deref(), Some("1.2.3"));
            assert_eq!(package.resolved.as_deref(), Some("x#0123"));
            let requirements = [
                ("@s/c", "^2.0.0", false),
                ("d", "1 || 2", false),
                ("e", "*", true),
            ]
            .map(|(name, specifier, optional)| (name.to_owned(), specifier.to_owned(), optional));
            assert_eq!(package.requirements, requirements);
        }
        let f = lock.find("f", ">= 1.0.0").unwrap();
        assert_eq!(f.version.as_deref(), Some("0.0.1"));
        assert_eq!(lock.find("f", ""), Some(f));
        assert_eq!(lock.find("g", "1"), None);
    }

    #[test]
    fn windows_line_ends_are_accepted() {
        let lock = YarnLock::parse(&LOCK.replace('\n', "\r\n")).unwrap();
        assert_eq!(lock, YarnLock::parse(LOCK).unwrap());
    }

    #[test]
    fn broken_locks_are_errors() {
        for (text, error) in [
            ("a@1:\n  version", YarnLockError::Line(2)),
            ("a@1:\n version \"1\"", YarnLockError::Line(2)),
            ("a@1:\n    b \"1\"", YarnLockError::Line(2)),
            ("  version \"1\"", YarnLockError::Line(1)),
            ("a@1", YarnLockError::Line(1)),
            ("\"a@1:", YarnLockError::Line(1)),
            ("\"a@1\" \"b@1\":", YarnLockError::Line(1)),
            ("{\"a\": 1}", YarnLockError::Line(1)),
            ("a@1:\n  version \"1\"\n<<<<<<< HEAD", YarnLockError::Conflict(3)),
            ("# comment\n__metadata:\n  version: 8", YarnLockError::Berry),
        ] {
            assert_eq!(YarnLock::parse(text), Err(error), "{text}");
        }
        assert_eq!(YarnLock::parse("# yarn lockfile v1\n"), Ok(YarnLock::default()));
    }
}
