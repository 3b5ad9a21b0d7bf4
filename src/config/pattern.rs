//! Regular expressions over bytes. Their classes are ASCII, as blackbox_exporter's (RE2) are, and what they are matched
//! against need not be UTF-8.

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::compilation::{self, Attempt};

/// The longest expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// What a compiled expression may take in bytes: the limits that are tried, one after the other. An expression counts
/// with the first limit that it keeps to.
const SIZE_LIMITS: [usize; 4] = [4 << 10, 32 << 10, 256 << 10, 2 << 20];

/// What the expressions of one configuration may take together, in bytes.
pub(super) const MAX_TOTAL_BYTES: usize = 64 << 20;
/// What is wrong with those over it.
pub(super) const OVER_TOTAL: &str =
    "the expressions of this file take too much memory together: use fewer or simpler ones";

/// A regular expression, compared by its source.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
        }
        compilation::pattern(source, compile).map(Self)
    }

    /// Whether it matches somewhere in `bytes`.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// Its first match in `bytes`, with the groups.
    pub fn captures<'b>(&self, bytes: &'b [u8]) -> Option<Captures<'b>> {
        // Most lines do not match, and finding that out costs less than finding groups.
        self.is_match(bytes).then(|| self.0.captures(bytes)).flatten()
    }

    /// Its source.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The compiled expression, for the limit that it keeps to.
fn compile(source: &str) -> Attempt<Regex> {
    for limit in SIZE_LIMITS {
        let error = match RegexBuilder::new(source).unicode(false).size_limit(limit).build() {
            Ok(regex) => {
                return Attempt {
                    result: Ok(regex),
                    cost: limit,
                };
            }
            Err(regex::Error::CompiledTooBig(_)) => continue,
            // The last line says what is wrong; the ones before draw the expression.
            Err(regex::Error::Syntax(text)) => {
                let last = text.lines().last().unwrap_or("");
                last.trim_start_matches("error: ").to_owned()
            }
            Err(other) => other.to_string(),
        };
        return Attempt {
            result: Err(error),
            cost: limit,
        };
    }
    let most = SIZE_LIMITS[SIZE_LIMITS.len() - 1];
    Attempt {
        result: Err(format!(
            "it takes more than {} MB when compiled: lower the numbers of repetitions",
            most >> 20
        )),
        cost: most,
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::compilation::Compilation;

    #[test]
    fn classes_are_ascii_and_input_is_bytes() {
        let digits = Pattern::new(r"^\d+\xff$").unwrap();
        assert!(digits.is_match(b"12\xff"));
        assert!(!digits.is_match("٣\u{ff}".as_bytes()));
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(Pattern::new("a(b").unwrap_err(), "unclosed group");
    }

    #[test]
    fn one_expression_is_bounded() {
        assert_eq!(
            Pattern::new(&"a".repeat(MAX_PATTERN_BYTES + 1)).unwrap_err(),
            "it is longer than 4096 bytes"
        );
        assert_eq!(
            Pattern::new("((a{100}){100}){100}").unwrap_err(),
            "it takes more than 2 MB when compiled: lower the numbers of repetitions"
        );
    }

    #[test]
    fn the_expressions_of_one_configuration_are_bounded_together() {
        let compilation = Compilation::begin();
        let heavy = |index: usize| Pattern::new(&format!("(a{{100}}){{100}}{index}"));
        assert!((0..1000).any(|index| heavy(index).is_err()));
        assert!(heavy(0).is_ok(), "what is compiled already costs nothing");
        drop(compilation);
        assert!(heavy(1001).is_ok());
    }
}
