//! Ranges of versions, as npm evaluates them: node-semver's `classes/range.js` in loose mode, which npm uses for requirements. The
//! library `nodejs-semver` parses and compares versions. Its own ranges differ from npm's: it ignores an empty alternative (`1 ||`)
//! and words, and takes versions without an operator (`1 2`) as alternatives.

use std::cmp::Ordering;

use nodejs_semver::Version;

/// The longest range or version, in bytes, as in node-semver (`MAX_LENGTH`).
const MAX_BYTES: usize = 256;
/// All operators, each after those that start with it.
const OPERATORS: [&str; 8] = ["~>", "~", "^", ">=", ">", "<=", "<", "="];
/// The largest number in a version: JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A range: a version must satisfy all comparators of one of the sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Range(Vec<Vec<Comparator>>);

#[derive(Clone, Debug, PartialEq)]
struct Comparator {
    operator: Operator,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A version whose parts may be missing or wildcards. After a wildcard, all parts are `None`.
#[derive(Clone, Debug)]
struct Partial<'a> {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    prerelease: &'a str,
}

/// Why a comparator has no meaning.
enum Invalid {
    /// It is not a comparator. npm ignores it.
    Ignored,
    /// A number is too large. npm rejects the whole range.
    Range,
}

/// Parses a version. npm installs packages whose version it would not accept today, so spaces and a leading `v` or `=` are allowed.
pub fn parse_version(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches(['=', 'v', ' ']);
    if text.len() > MAX_BYTES {
        return None;
    }
    Version::parse(text).ok()
}

/// Whether two versions are the same, ignoring build metadata.
pub fn is_same_version(one: &str, other: &str) -> bool {
    one == other
        || match (parse_version(one), parse_version(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
}

impl Range {
    /// Parses a range. `None` if it is not one: npm then takes the text as a tag.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let mut sets = Vec::new();
        for alternative in text.split("||") {
            sets.extend(parse_set(alternative.trim())?);
        }
        // If one alternative is any version, node-semver drops the others, also those that name prereleases.
        if sets.iter().any(Vec::is_empty) {
            sets = vec![Vec::new()];
        }
        (!sets.is_empty()).then_some(Self(sets))
    }

    /// Whether the version is in the range. A prerelease is only if a comparator of the set has a prerelease of the same version.
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|set| {
            let is_named = |comparator: &Comparator| {
                let other = &comparator.version;
                other.is_prerelease()
                    && (other.major(), other.minor(), other.patch())
                        == (version.major(), version.minor(), version.patch())
            };
            set.iter().all(|comparator| comparator.accepts(version))
                && (!version.is_prerelease() || set.iter().any(is_named))
        })
    }
}

impl Comparator {
    fn accepts(&self, version: &Version) -> bool {
        let order = version.cmp(&self.version);
        match self.operator {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
        }
    }
}

/// Parses the comparators of one alternative. The inner `None` is an alternative of ignored words only.
#[allow(clippy::option_option)]
fn parse_set(text: &str) -> Option<Option<Vec<Comparator>>> {
    let mut set = Vec::new();
    if text.is_empty() {
        return Some(Some(set));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [from, "-", to] = words[..]
        && let (Ok(from), Ok(to)) = (parse_partial(from), parse_partial(to))
    {
        hyphen(&from, &to, &mut set)?;
        return Some(Some(set));
    }
    let mut is_empty = true;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let operator = OPERATORS
            .into_iter()
            .find(|operator| word.starts_with(operator))
            .unwrap_or_default();
        let rest = &word[operator.len()..];
        // The version can follow after a space.
        let version = if rest.is_empty() {
            words.next().unwrap_or_default()
        } else {
            rest
        };
        match parse_comparator(operator, version, &mut set) {
            Ok(()) => is_empty = false,
            Err(Invalid::Ignored) => {}
            Err(Invalid::Range) => return None,
        }
    }
    Some((!is_empty).then_some(set))
}

fn parse_comparator(operator: &str, version: &str, set: &mut Vec<Comparator>) -> Result<(), Invalid> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let partial = parse_partial(version)?;
    let comparator = match operator {
        "^" => return caret(&partial, set).ok_or(Invalid::Range),
        "~" | "~>" => return tilde(&partial, set).ok_or(Invalid::Range),
        "" | "=" => Equal,
        "<" => Less,
        "<=" => LessOrEqual,
        ">" => Greater,
        ">=" => GreaterOrEqual,
        _ => return Err(Invalid::Ignored),
    };
    compare(comparator, &partial, set).ok_or(Invalid::Range)
}

impl Partial<'_> {
    /// The lowest version with these parts.
    fn lowest(&self) -> Option<Version> {
        let [major, minor, patch] = [self.major, self.minor, self.patch].map(Option::unwrap_or_default);
        version(major, minor, patch, self.prerelease)
    }
}

fn version(major: u64, minor: u64, patch: u64, prerelease: &str) -> Option<Version> {
    let separator = if prerelease.is_empty() { "" } else { "-" };
    Version::parse(format!("{major}.{minor}.{patch}{separator}{prerelease}")).ok()
}

fn push(set: &mut Vec<Comparator>, operator: Operator, version: Option<Version>) -> Option<()> {
    let version = version?;
    set.push(Comparator { operator, version });
    Some(())
}

/// The end of a range before the next version: `-0` is the lowest prerelease.
fn push_below(set: &mut Vec<Comparator>, major: u64, minor: u64, patch: u64) -> Option<()> {
    push(set, Operator::Less, version(major, minor, patch, "0"))
}

fn push_from(set: &mut Vec<Comparator>, partial: &Partial<'_>) -> Option<()> {
    push(set, Operator::GreaterOrEqual, partial.lowest())
}

fn compare(operator: Operator, partial: &Partial<'_>, set: &mut Vec<Comparator>) -> Option<()> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    match (operator, partial.major, partial.minor, partial.patch) {
        // Nothing is above or below any version.
        (Less | Greater, None, ..) => push_below(set, 0, 0, 0),
        (_, None, ..) => Some(()),
        (_, Some(_), Some(_), Some(_)) => push(set, operator, partial.lowest()),
        (Equal, Some(major), None, _) => {
            push_from(set, partial)?;
            push_below(set, major + 1, 0, 0)
        }
        (Equal, Some(major), Some(minor), None) => {
            push_from(set, partial)?;
            push_below(set, major, minor + 1, 0)
        }
        (GreaterOrEqual, ..) => push_from(set, partial),
        (Less, Some(major), minor, _) => push_below(set, major, minor.unwrap_or_default(), 0),
        (LessOrEqual, Some(major), None, _) => push_below(set, major + 1, 0, 0),
        (LessOrEqual, Some(major), Some(minor), None) => push_below(set, major, minor + 1, 0),
        (Greater, Some(major), None, _) => push(set, GreaterOrEqual, version(major + 1, 0, 0, "")),
        (Greater, Some(major), Some(minor), None) => {
            push(set, GreaterOrEqual, version(major, minor + 1, 0, ""))
        }
    }
}

fn tilde(partial: &Partial<'_>, set: &mut Vec<Comparator>) -> Option<()> {
    let Some(major) = partial.major else {
        return Some(());
    };
    push_from(set, partial)?;
    match partial.minor {
        None => push_below(set, major + 1, 0, 0),
        Some(minor) => push_below(set, major, minor + 1, 0),
    }
}

fn caret(partial: &Partial<'_>, set: &mut Vec<Comparator>) -> Option<()> {
    let Some(major) = partial.major else {
        return Some(());
    };
    push_from(set, partial)?;
    match (major, partial.minor, partial.patch) {
        (0, Some(0), Some(patch)) => push_below(set, 0, 0, patch + 1),
        (0, Some(minor), _) => push_below(set, 0, minor + 1, 0),
        _ => push_below(set, major + 1, 0, 0),
    }
}

/// `1.2 - 2`: from the first version up to the last one that starts with the second.
fn hyphen(from: &Partial<'_>, to: &Partial<'_>, set: &mut Vec<Comparator>) -> Option<()> {
    if from.major.is_some() {
        push_from(set, from)?;
    }
    match (to.major, to.minor, to.patch) {
        (None, ..) => Some(()),
        (Some(major), None, _) => push_below(set, major + 1, 0, 0),
        (Some(major), Some(minor), None) => push_below(set, major, minor + 1, 0),
        _ => push(set, Operator::LessOrEqual, to.lowest()),
    }
}

/// Parses a version whose parts may be missing or wildcards: node-semver's `XRANGEPLAINLOOSE`.
fn parse_partial(text: &str) -> Result<Partial<'_>, Invalid> {
    let mut rest = text.trim_start_matches(['v', '=']);
    let mut parts = [None; 3];
    let mut is_exact = true;
    for position in 0..parts.len() {
        if position > 0 {
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => {
                    return Ok(Partial {
                        major: parts[0],
                        minor: parts[1],
                        patch: parts[2],
                        prerelease: "",
                    });
                }
                None => return Err(Invalid::Ignored),
            }
        }
        if let Some(after) = rest.strip_prefix(['x', 'X', '*']) {
            rest = after;
            is_exact = false;
            continue;
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(Invalid::Ignored);
        }
        let number: Option<u64> = rest[..digits].parse().ok();
        let number = number
            .filter(|number| *number < MAX_NUMBER)
            .ok_or(Invalid::Range)?;
        if !is_exact {
            return Err(Invalid::Ignored);
        }
        parts[position] = Some(number);
        rest = &rest[digits..];
    }
    let prerelease = rest.split('+').next().unwrap_or_default();
    let prerelease = prerelease.strip_prefix('-').unwrap_or(prerelease);
    let is_identifier =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let has_prerelease = rest.len() > 1 && !rest.starts_with('+');
    let is_prerelease = has_prerelease && prerelease.split('.').all(is_identifier);
    if !rest.is_empty() && !rest.starts_with('+') && !is_prerelease {
        return Err(Invalid::Ignored);
    }
    Ok(Partial {
        major: parts[0],
        minor: parts[1],
        patch: parts[2],
        prerelease: if is_exact { prerelease } else { "" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // `tests/dependencies/node/semver.rs` compares thousands of ranges with npm.
    #[test]
    fn sets_and_alternatives_are_those_of_npm() {
        for (range, version, expected) in [
            ("1 ||", "5.0.0", true),
            ("1 2", "1.0.0", false),
            (">=1 <3 !", "2.0.0", true),
            ("foo || 1", "1.0.0", true),
            ("foo || 1", "2.0.0", false),
            ("x.x", "7.0.0", true),
            (">*", "1.0.0", false),
            (">= 1.2", "1.2.0", true),
            ("1.2.3-beta - 1", "1.2.3-gamma", true),
            ("*", "1.0.0-beta", false),
        ] {
            let range = Range::parse(range).unwrap();
            assert_eq!(
                range.contains(&parse_version(version).unwrap()),
                expected,
                "{range:?} {version}"
            );
        }
        for text in [
            "latest",
            "v",
            "^",
            "1.x.3",
            "1.2.3.4.5 -",
            "99999999999999999999",
            &"1 ".repeat(200),
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
        assert!(is_same_version("1.0.0", "v1.0.0+x"));
        assert!(!is_same_version("1.0.0", "1.0.0-0"));
        assert!(is_same_version("?", "?"));
    }
}
