//! Environment markers: the conditions of PEP 508, and the sets of PEP 751.
//!
//! They are evaluated as Python's `packaging` does, which pip uses: two versions are compared as versions, other texts as texts. So
//! the result does not depend on how a resolver simplifies conditions.

mod parser;

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier};

use super::environment::{Environment, Value};
use super::name::Name;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Any of these must hold.
    Or(Vec<Marker>),
    /// All of these must hold.
    And(Vec<Marker>),
    /// A comparison of two values.
    Compare(Box<Comparison>),
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    left: Operand,
    operator: &'static str,
    right: Operand,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Variable(&'static str),
    Text(String),
}

/// Which extras and groups the condition is evaluated for.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// One extra, or none: metadata and requirement files. `extra` is this name.
    Extra(Option<&'a Name>),
    /// Sets: locks. `extra == "x"` means that the set contains it.
    Sets {
        /// The extras.
        extras: &'a [Name],
        /// The dependency groups.
        groups: &'a [Name],
    },
}

/// The condition depends on a fact that the files of the environment don't give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the marker depends on {0}, which the files of this environment don't give")]
pub struct Unknown(pub &'static str);

/// A question about a range of versions.
enum End {
    /// Does the comparison hold for the lowest version?
    Low,
    /// Does it hold for the highest version?
    High,
    /// Is the compared text outside of the range?
    Outside,
}

impl Marker {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// If that depends on an unknown fact.
    pub fn evaluate(&self, environment: &Environment, scope: Scope<'_>) -> Result<bool, Unknown> {
        // An unknown fact matters only if the other conditions don't decide.
        let mut unknown = None;
        let (parts, decisive) = match self {
            Self::Compare(comparison) => return comparison.evaluate(environment, scope),
            Self::Or(parts) => (parts, true),
            Self::And(parts) => (parts, false),
        };
        for part in parts {
            match part.evaluate(environment, scope) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Ok(!decisive), Err)
    }
}

/// Whether a requirement with this marker applies to a package that is required with these extras. As in pip, the marker must hold
/// for any of them, or without one if there are none.
///
/// # Errors
/// If that depends on an unknown fact.
pub fn applies(marker: Option<&Marker>, environment: &Environment, extras: &[Name]) -> Result<bool, Unknown> {
    let Some(marker) = marker else {
        return Ok(true);
    };
    if extras.is_empty() {
        return marker.evaluate(environment, Scope::Extra(None));
    }
    let mut unknown = None;
    for extra in extras {
        match marker.evaluate(environment, Scope::Extra(Some(extra))) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => unknown = Some(error),
        }
    }
    unknown.map_or(Ok(false), Err)
}

impl Comparison {
    fn evaluate(&self, environment: &Environment, scope: Scope<'_>) -> Result<bool, Unknown> {
        match (&self.left, &self.right) {
            (Operand::Text(name), Operand::Variable(set @ ("extras" | "dependency_groups"))) => {
                Ok(self.is_in_set(name, set, scope))
            }
            (Operand::Variable("extra"), Operand::Text(name))
            | (Operand::Text(name), Operand::Variable("extra")) => Ok(self.is_extra(name, scope)),
            (Operand::Variable(variable), Operand::Text(text)) => match environment.value(variable) {
                Value::Text(value) => Ok(compare(&value, self.operator, text)),
                Value::Between(low, high) => self.decide(variable, text, |end| match end {
                    End::Low => compare(&low, self.operator, text),
                    End::High => compare(&high, self.operator, text),
                    End::Outside => compare(&low, ">", text) || compare(&high, "<", text),
                }),
            },
            (Operand::Text(text), Operand::Variable(variable)) => match environment.value(variable) {
                Value::Text(value) => Ok(compare(text, self.operator, &value)),
                Value::Between(low, high) => self.decide(variable, text, |end| match end {
                    End::Low => compare(text, self.operator, &low),
                    End::High => compare(text, self.operator, &high),
                    End::Outside => compare(&low, ">", text) || compare(&high, "<", text),
                }),
            },
            (Operand::Text(left), Operand::Text(right)) => Ok(compare(left, self.operator, right)),
            // The parser rejects two variables, as packaging does.
            (Operand::Variable(_), Operand::Variable(_)) => Ok(false),
        }
    }

    /// The result for a value that is somewhere in a range, if it is the same for all of the range.
    fn decide(
        &self,
        variable: &'static str,
        text: &str,
        result: impl Fn(End) -> bool,
    ) -> Result<bool, Unknown> {
        let is_monotonic = matches!(self.operator, "<" | "<=" | ">" | ">=") || text.ends_with(".*");
        let is_outside = matches!(self.operator, "==" | "!=") && result(End::Outside);
        let (low, high) = (result(End::Low), result(End::High));
        match low == high && (is_monotonic || is_outside) {
            true => Ok(low),
            false => Err(Unknown(variable)),
        }
    }

    fn is_extra(&self, name: &str, scope: Scope<'_>) -> bool {
        let name = Name::normalize(name);
        let is_same = match scope {
            Scope::Extra(extra) => extra == Some(&name),
            Scope::Sets { extras, .. } => extras.contains(&name),
        };
        match self.operator {
            "==" | "===" | "in" => is_same,
            "!=" | "not in" => !is_same,
            _ => false,
        }
    }

    fn is_in_set(&self, name: &str, set: &str, scope: Scope<'_>) -> bool {
        let Scope::Sets { extras, groups } = scope else {
            return false;
        };
        let names = if set == "extras" { extras } else { groups };
        let is_in = names.contains(&Name::normalize(name));
        match self.operator {
            "in" => is_in,
            "not in" => !is_in,
            _ => false,
        }
    }
}

/// Compares as versions if both sides are, otherwise as texts.
fn compare(left: &str, operator: &str, right: &str) -> bool {
    if !matches!(operator, "in" | "not in")
        && let Ok(specifier) = VersionSpecifier::from_str(&format!("{operator}{right}"))
        && let Ok(version) = Version::from_str(left)
    {
        return specifier.contains(&version);
    }
    match operator {
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "==" | "===" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        // `~=` needs versions.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::for_tests("3.11.2")
    }

    fn holds(text: &str) -> bool {
        let marker = Marker::parse(text).unwrap();
        marker.evaluate(&environment(), Scope::Extra(None)).unwrap()
    }

    #[test]
    fn versions_and_texts_are_compared() {
        for text in [
            "python_version >= '3.8'",
            "python_version < \"3.12\" and python_version != '3.9'",
            "'3.8' <= python_version",
            "python_version == '3.*'",
            "python_version in '3.10 3.11'",
            "python_version not in '2.7, 3.1'",
            "python_full_version == '3.11.2'",
            "python_version ~= '3.8'",
            "sys_platform == 'linux' or os_name == 'nt'",
            "(sys_platform == 'win32' or os_name == 'posix') and implementation_name == 'cpython'",
            "os.name == 'posix' and python_implementation=='CPython'",
            "extra != 'x'",
            "platform_release >= '5'",
            "sys_platform=='win32' or(os_name=='posix')",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "python_version < '3.9'",
            "python_version > '3.11'",
            "sys_platform == 'win32' and os_name == 'posix' or platform_system == 'Windows'",
            "extra == 'x'",
            "platform_machine ~= 'x'",
            "'dev' in dependency_groups",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn extras_and_groups_follow_their_scope() {
        let marker = Marker::parse("extra == 'Foo_Bar' and python_version > '3'").unwrap();
        let names = |list: &[&str]| -> Vec<Name> { list.iter().map(|name| Name::normalize(name)).collect() };
        let environment = environment();
        for (extras, expected) in [(&["a", "foo-bar"][..], true), (&["a"], false), (&[], false)] {
            let found = applies(Some(&marker), &environment, &names(extras));
            assert_eq!(found, Ok(expected), "{extras:?}");
        }
        let marker = Marker::parse("'dev' in dependency_groups and 'x' not in extras").unwrap();
        for (groups, extras, expected) in [("dev", "y", true), ("dev", "x", false), ("docs", "y", false)] {
            let (groups, extras) = (names(&[groups]), names(&[extras]));
            let scope = Scope::Sets {
                extras: &extras,
                groups: &groups,
            };
            assert_eq!(marker.evaluate(&environment, scope), Ok(expected));
        }
    }

    #[test]
    fn an_unknown_patch_version_matters_only_if_it_decides() {
        let environment = Environment::for_tests("3.11");
        let evaluate = |text| {
            Marker::parse(text)
                .unwrap()
                .evaluate(&environment, Scope::Extra(None))
        };
        assert_eq!(evaluate("python_full_version >= '3.8'"), Ok(true));
        assert_eq!(evaluate("python_full_version >= '3.12'"), Ok(false));
        let unknown = Err(Unknown("python_full_version"));
        assert_eq!(evaluate("python_full_version >= '3.11.3'"), unknown);
        assert_eq!(evaluate("python_full_version == '3.11.3'"), unknown);
        assert_eq!(evaluate("python_full_version != '3.11.3'"), unknown);
        assert_eq!(evaluate("python_full_version == '3.8.1'"), Ok(false));
        assert_eq!(evaluate("python_full_version == '3.11.*'"), Ok(true));
        assert_eq!(
            evaluate("python_full_version < '3.11.3' or os_name == 'posix'"),
            Ok(true)
        );
        assert_eq!(
            evaluate("python_full_version < '3.11.3' and os_name == 'nt'"),
            Ok(false)
        );
    }

    #[test]
    fn faulty_markers_are_rejected() {
        for text in [
            "",
            "python_version",
            "python_version >=",
            "python_version >= 3.8",
            "pythonversion >= '3'",
            "python_version >= '3",
            "(python_version >= '3'",
            "python_version >= '3')",
            "python_version >= os_name",
            "python_version not '3'",
            "python_version >= '3' and",
            &"(".repeat(100_000),
            &"(".repeat(60),
        ] {
            assert!(Marker::parse(text).is_err(), "{text}");
        }
    }
}
