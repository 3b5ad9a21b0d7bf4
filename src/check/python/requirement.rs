//! One requirement in the form of PEP 508: `name[extra] >=1,<2; marker` or `name @ URL; marker`.

use std::str::FromStr;

use pep440_rs::{VersionSpecifier, VersionSpecifiers};

use super::marker::Marker;
use super::name::{Name, is_name_byte};

/// The longest requirement in bytes.
const MAX_BYTES: usize = 32 << 10;
/// The maximum number of version specifiers.
const MAX_SPECIFIERS: usize = 1000;

/// A requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The package.
    pub name: Name,
    /// Its extras.
    pub extras: Vec<Name>,
    /// The versions that satisfy it.
    pub specifiers: VersionSpecifiers,
    /// Where it must be installed from.
    pub url: Option<String>,
    /// When it applies.
    pub marker: Option<Marker>,
}

impl Requirement {
    /// Parses a requirement.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the requirement has more than {MAX_BYTES} bytes"));
        }
        let text = text.trim();
        let end = text.bytes().position(|byte| !is_name_byte(byte));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let name = Name::parse(name).ok_or("the requirement does not start with the name of a package")?;
        let (extras, rest) = parse_extras(rest)?;
        let rest = rest.trim_start();
        if let Some(url) = rest.strip_prefix('@') {
            let (url, marker) = split_url(url);
            if url.is_empty() {
                return Err("the requirement has no URL after @".to_owned());
            }
            return Ok(Self {
                name,
                extras,
                specifiers: VersionSpecifiers::empty(),
                url: Some(url.to_owned()),
                marker: marker.map(Marker::parse).transpose()?,
            });
        }
        let (specifiers, marker) = match rest.split_once(';') {
            Some((specifiers, marker)) => (specifiers, Some(marker)),
            None => (rest, None),
        };
        Ok(Self {
            name,
            extras,
            specifiers: parse_specifiers(specifiers)?,
            url: None,
            marker: marker.map(Marker::parse).transpose()?,
        })
    }
}

/// The name that a faulty requirement starts with. The rest of it may be a URL with credentials, so it is not shown.
pub fn shown_name(text: &str) -> &str {
    let text = text.trim_start();
    let end = text
        .bytes()
        .position(|byte| !is_name_byte(byte))
        .unwrap_or(text.len());
    match &text[..end] {
        "" => "a requirement",
        name => name,
    }
}

/// Splits `URL ; marker`. A URL may have semicolons, so the marker's one follows a space.
pub fn split_url(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    let Some(end) = text.find(char::is_whitespace) else {
        return (text, None);
    };
    let (url, rest) = text.split_at(end);
    match rest.trim_start().strip_prefix(';') {
        Some(marker) => (url, Some(marker)),
        // `URL; marker`, which pip reads as well.
        None => match url.strip_suffix(';') {
            Some(url) => (url, Some(rest)),
            None => (text, None),
        },
    }
}

/// Parses `[a, b]` at the start, and returns the rest.
///
/// # Errors
/// What is wrong with it.
pub fn parse_extras(text: &str) -> Result<(Vec<Name>, &str), String> {
    let Some(list) = text.trim_start().strip_prefix('[') else {
        return Ok((Vec::new(), text));
    };
    let (list, rest) = list.split_once(']').ok_or("the list of extras is not closed")?;
    if list.trim().is_empty() {
        return Ok((Vec::new(), rest));
    }
    let extras = list.split(',').map(|extra| Name::parse(extra.trim()));
    let extras: Option<Vec<Name>> = extras.collect();
    Ok((extras.ok_or("an extra is not a valid name")?, rest))
}

/// Parses `>=1, <2` or `(>=1, <2)`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_specifiers(text: &str) -> Result<VersionSpecifiers, String> {
    let text = text.trim();
    let text = text
        .strip_prefix('(')
        .map_or(Some(text), |inner| inner.strip_suffix(')'))
        .ok_or("a parenthesis of the versions is not closed")?;
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut specifiers = Vec::new();
    for part in parts {
        if specifiers.len() == MAX_SPECIFIERS {
            return Err(format!("the requirement has more than {MAX_SPECIFIERS} versions"));
        }
        let specifier = VersionSpecifier::from_str(part)
            .map_err(|_| "the versions do not follow PEP 440, such as >=1.2,<2".to_owned())?;
        specifiers.push(specifier);
    }
    Ok(specifiers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, Vec<String>, String, Option<String>, bool) {
        let requirement = Requirement::parse(text).unwrap();
        (
            requirement.name.to_string(),
            requirement.extras.iter().map(ToString::to_string).collect(),
            requirement.specifiers.to_string(),
            requirement.url,
            requirement.marker.is_some(),
        )
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(
            parts("Flask"),
            ("flask".into(), vec![], String::new(), None, false)
        );
        let (name, extras, versions, url, has_marker) =
            parts("uvicorn [standard, A_b]>= 0.20 ,<1.0,!=0.21.*; python_version >= '3.8'");
        assert_eq!((&*name, url, has_marker), ("uvicorn", None, true));
        assert_eq!(extras, ["standard", "a-b"]);
        assert_eq!(versions, ">=0.20, !=0.21.*, <1.0");
        assert_eq!(parts("a (>=1,<2)").2, ">=1, <2");
        assert_eq!(parts("a ( ~=1.4.2 ) ; os_name == 'posix'").2, "~=1.4.2");
        assert_eq!(parts("a>=1,").2, ">=1");
        assert_eq!(parts("a[]==1.0+cpu").2, "==1.0+cpu");
        let (.., url, has_marker) = parts("a[b] @ https://x.test/a;b.zip ; os_name == 'posix'");
        assert_eq!(
            (url.as_deref(), has_marker),
            (Some("https://x.test/a;b.zip"), true)
        );
        assert_eq!(parts("a@file:///x").3.as_deref(), Some("file:///x"));
    }

    #[test]
    fn faulty_requirements_are_rejected() {
        for text in [
            "",
            "-a",
            "a b",
            "a >= x",
            "a [b",
            "a [b c]",
            "a (>=1",
            "a @",
            "a; ",
            "a >= 1.*",
            "a=1",
            "https://x.test/a.zip",
            &"a".repeat(40_000),
            &format!("a {}", "!=1,".repeat(2000)),
        ] {
            assert!(Requirement::parse(text).is_err(), "{text}");
        }
    }
}
