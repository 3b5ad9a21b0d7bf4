//! Regular expressions in RE2's syntax over bytes, as blackbox_exporter (Go) has them: classes by letter are ASCII, all else is
//! code points, and what they are matched against need not be UTF-8.

mod class;
mod escape;
mod re2;
mod search;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_automata::util::interpolate;

use self::search::Search;
use super::budget::{Budget, Exhausted};
use super::pattern_cache::{self, Attempt};
use super::place::{Invalid, Place};
use crate::model::visible;

/// The longest expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// What a compiled expression may take in bytes: the limits that are tried, one after the other. An expression counts
/// with the first limit that it keeps to.
const SIZE_LIMITS: [usize; 5] = [4 << 10, 32 << 10, 256 << 10, 2 << 20, 8 << 20];

/// What the expressions of one configuration may take together, in bytes.
pub(super) const MAX_TOTAL_BYTES: usize = 64 << 20;
/// What is wrong with those over it.
pub(super) const OVER_TOTAL: &str =
    "the expressions of this file take too much memory together: use fewer or simpler ones";

/// Up to this product of the size of an expression and the length of a text the library's own search is used, which can't be
/// ended: it takes 10 ms at most (a few nanoseconds for each state, of at least 32 bytes, and byte).
const MAX_UNBOUNDED: usize = 32 << 20;
/// The same for the groups of a match, for which there is no other search: half a second.
const MAX_UNBOUNDED_GROUPS: usize = 2 << 30;

/// How much of an expression an error quotes, in bytes.
const MAX_SHOWN_BYTES: usize = 256;
/// A part of an expression that an error names, in bytes at most.
const MAX_PART_BYTES: usize = 32;

/// A regular expression, compared by its source.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    compiled: Compiled,
}

/// What an expression is compiled to.
#[derive(Clone)]
pub(super) struct Compiled {
    regex: Regex,
    /// Whether it has to do with bytes that are no UTF-8.
    matches_invalid: bool,
    /// The text that the library compiles, and the limit that it keeps to.
    translated: Arc<str>,
    size: usize,
    search: Search,
}

/// The groups of a match.
pub struct Groups<'p, 'b> {
    regex: &'p Regex,
    bytes: &'b [u8],
    locations: CaptureLocations,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
        }
        let compiled = pattern_cache::pattern(source, compile)?;
        Ok(Self {
            source: source.to_owned(),
            compiled,
        })
    }

    /// Compiles the expression at `place`.
    ///
    /// # Errors
    /// Reported there.
    pub fn read(place: &Place<'_>, source: &str) -> Result<Self, Invalid> {
        Self::new(source).map_err(|error| {
            let shown = visible(source, MAX_SHOWN_BYTES);
            place.error(format_args!("\"{shown}\" is not a regular expression: {error}"))
        })
    }

    /// One that matches wherever one of the texts is, in any case.
    ///
    /// # Errors
    /// That it is too big.
    pub fn any_of(texts: &[String]) -> Result<Self, String> {
        let escaped: Vec<String> = texts.iter().map(|text| re2::quoted(text)).collect();
        Self::new(&format!("(?i:{})", escaped.join("|")))
    }

    /// Whether it matches somewhere in `bytes`.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.compiled.regex.is_match(&self.compiled.decoded(bytes))
    }

    /// Whether it matches somewhere in `bytes`, which may be long and a target's.
    ///
    /// # Errors
    /// When the budget does not suffice.
    pub fn finds(&self, bytes: &[u8], budget: &Budget) -> Result<bool, Exhausted> {
        budget.step()?;
        let compiled = &self.compiled;
        let decoded = compiled.decoded(bytes);
        if compiled.size.saturating_mul(bytes.len()) <= MAX_UNBOUNDED {
            return Ok(compiled.regex.is_match(&decoded));
        }
        let Compiled { translated, size, .. } = compiled;
        compiled.search.finds(translated, *size, &decoded, budget)
    }

    /// The groups of its first match in `bytes`.
    ///
    /// # Errors
    /// When the budget does not suffice.
    pub fn captures<'b>(
        &self,
        bytes: &'b [u8],
        budget: &Budget,
    ) -> Result<Option<Groups<'_, 'b>>, Exhausted> {
        // Most lines do not match, and finding that out costs less than finding groups.
        if !self.finds(bytes, budget)? {
            return Ok(None);
        }
        if self.compiled.size.saturating_mul(bytes.len()) > MAX_UNBOUNDED_GROUPS {
            return Err(Exhausted);
        }
        let regex = &self.compiled.regex;
        let decoded = self.compiled.decoded(bytes);
        let mut locations = regex.capture_locations();
        let found = regex.captures_read(&mut locations, &decoded);
        Ok(found.map(|_| Groups {
            regex,
            bytes,
            locations,
        }))
    }

    /// Its source.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl Groups<'_, '_> {
    /// Appends a template to `text`, with `$1`, `${1}` and `${name}` replaced by what the groups hold.
    pub fn expand(&self, template: &[u8], text: &mut Vec<u8>) {
        let append = |group: usize, text: &mut Vec<u8>| {
            let found = self
                .locations
                .get(group)
                .and_then(|(start, end)| self.bytes.get(start..end));
            text.extend_from_slice(found.unwrap_or_default());
        };
        let number = |name: &str| self.regex.capture_names().position(|group| group == Some(name));
        interpolate::bytes(template, append, number, text);
    }
}

impl Compiled {
    /// The bytes with each one that is no UTF-8 replaced by one that stands for all of them: the places stay the same. The
    /// copy, where there has to be one, lives as long as one match: there are no more of them than threads.
    fn decoded<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if !self.matches_invalid || std::str::from_utf8(bytes).is_ok() {
            return Cow::Borrowed(bytes);
        }
        let mut decoded = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            decoded.extend_from_slice(chunk.valid().as_bytes());
            decoded.resize(decoded.len() + chunk.invalid().len(), re2::INVALID);
        }
        Cow::Owned(decoded)
    }
}

/// The compiled expression, for the limit that it keeps to.
fn compile(source: &str) -> Attempt<Compiled> {
    let translated = match re2::translate(source) {
        Ok(translated) => translated,
        Err(error) => {
            return Attempt {
                result: Err(error),
                cost: SIZE_LIMITS[0],
            };
        }
    };
    for limit in SIZE_LIMITS {
        let error = match RegexBuilder::new(&translated.text).size_limit(limit).build() {
            Ok(regex) => {
                return Attempt {
                    result: Ok(Compiled {
                        regex,
                        matches_invalid: translated.matches_invalid,
                        translated: translated.text.into(),
                        size: limit,
                        search: Search::default(),
                    }),
                    cost: limit,
                };
            }
            Err(regex::Error::CompiledTooBig(_)) => continue,
            // The last line says what is wrong; the ones before draw the expression, which is not the one that was written.
            Err(regex::Error::Syntax(text)) => {
                let last = text.lines().last().unwrap_or("");
                visible(last.trim_start_matches("error: "), 4 * MAX_PART_BYTES)
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

/// A part of an expression, as an error names it.
fn cut(part: &str) -> String {
    visible(part, MAX_PART_BYTES)
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
