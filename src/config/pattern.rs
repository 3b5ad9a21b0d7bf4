//! Regular expressions with RE2's syntax and meaning, as in blackbox_exporter (Go): classes such as `\d` are ASCII, everything
//! else is code points, and the text that is matched need not be UTF-8.

mod class;
mod escape;
mod quote;
mod re2;
mod search;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_automata::util::interpolate;

use self::quote::MAX_PART_BYTES;
use self::search::Search;
use super::budget::{Budget, Exhausted};
use crate::model::visible;

/// The longest expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// The size limits that are tried in turn, in bytes of the compiled expression. The first sufficient limit is the cost of the
/// expression.
const SIZE_LIMITS: [usize; 5] = [4 << 10, 32 << 10, 256 << 10, 2 << 20, 8 << 20];

/// The maximum memory for all expressions of one configuration, in bytes.
pub(super) const MAX_TOTAL_BYTES: usize = 64 << 20;
/// The error for expressions that exceed it.
pub(super) const OVER_TOTAL: &str =
    "the regular expressions of this file need too much memory together: use fewer or simpler ones";

/// The library's own search can't be cancelled. It is used up to this product of expression size and text length, which takes
/// at most 10 ms (a few nanoseconds per byte and state; a state has at least 32 bytes).
const MAX_UNBOUNDED: usize = 32 << 20;
/// The same limit for finding groups, which only the library's search can do: half a second.
const MAX_UNBOUNDED_GROUPS: usize = 2 << 30;

/// A regular expression, compared by its source. Cheap to clone.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    regex: Regex,
    /// Whether it can match bytes that are not UTF-8.
    matches_invalid: bool,
    /// The expression in the library's syntax.
    translated: Arc<str>,
    /// The first sufficient size limit.
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
    /// Compiles an expression outside of a configuration, without its cache and its limit of memory.
    ///
    /// # Errors
    /// A description of the mistake in the expression, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        Self::compile(source).0
    }

    /// Compiles an expression. Returns the memory that it costs as well, in bytes.
    pub(super) fn compile(source: &str) -> (Result<Self, String>, usize) {
        if source.len() > MAX_PATTERN_BYTES {
            return (Err(format!("longer than {MAX_PATTERN_BYTES} bytes")), 0);
        }
        let translated = match re2::translate(source) {
            Ok(translated) => translated,
            Err(error) => return (Err(error), SIZE_LIMITS[0]),
        };
        for limit in SIZE_LIMITS {
            let error = match RegexBuilder::new(&translated.text).size_limit(limit).build() {
                Ok(regex) => {
                    let pattern = Self {
                        source: source.into(),
                        regex,
                        matches_invalid: translated.matches_invalid,
                        translated: translated.text.into(),
                        size: limit,
                        search: Search::default(),
                    };
                    return (Ok(pattern), limit);
                }
                Err(regex::Error::CompiledTooBig(_)) => continue,
                // The last line is the message. The lines before it draw the translated expression, not the written one.
                Err(regex::Error::Syntax(text)) => {
                    let last = text.lines().last().unwrap_or("");
                    visible(last.trim_start_matches("error: "), 4 * MAX_PART_BYTES)
                }
                Err(other) => other.to_string(),
            };
            return (Err(error), limit);
        }
        let most = SIZE_LIMITS[SIZE_LIMITS.len() - 1];
        let error = format!(
            "needs more than {} MiB when compiled: use smaller numbers of repetitions",
            most >> 20
        );
        (Err(error), most)
    }

    /// The source of an expression that finds any of `texts`, ignoring case.
    pub fn any_of(texts: &[String]) -> String {
        let escaped: Vec<String> = texts.iter().map(|text| re2::escape(text)).collect();
        format!("(?i:{})", escaped.join("|"))
    }

    /// Whether the expression matches anywhere in `bytes`. For short texts; see [`Self::finds`] for those of a target.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(&self.replace_invalid(bytes))
    }

    /// Whether the expression matches anywhere in `bytes`, within a budget.
    ///
    /// # Errors
    /// When the budget is exhausted.
    pub fn finds(&self, bytes: &[u8], budget: &Budget) -> Result<bool, Exhausted> {
        budget.step()?;
        let decoded = self.replace_invalid(bytes);
        if self.size.saturating_mul(bytes.len()) <= MAX_UNBOUNDED {
            return Ok(self.regex.is_match(&decoded));
        }
        self.search.finds(&self.translated, self.size, &decoded, budget)
    }

    /// The groups of the first match in `bytes`.
    ///
    /// # Errors
    /// When the budget is exhausted.
    pub fn captures<'b>(
        &self,
        bytes: &'b [u8],
        budget: &Budget,
    ) -> Result<Option<Groups<'_, 'b>>, Exhausted> {
        // Most lines do not match, and this search is cheaper than the one for groups.
        if !self.finds(bytes, budget)? {
            return Ok(None);
        }
        if self.size.saturating_mul(bytes.len()) > MAX_UNBOUNDED_GROUPS {
            return Err(Exhausted);
        }
        let decoded = self.replace_invalid(bytes);
        let mut locations = self.regex.capture_locations();
        let found = self.regex.captures_read(&mut locations, &decoded);
        Ok(found.map(|_| Groups {
            regex: &self.regex,
            bytes,
            locations,
        }))
    }

    /// The source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Replaces each byte that is not UTF-8 by the byte that stands for all of them; offsets do not change. A copy, where one
    /// is needed, lives as long as one match, so there is at most one per thread.
    fn replace_invalid<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
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

impl Groups<'_, '_> {
    /// The named groups with their contents. A group that did not take part in the match is empty.
    pub fn named(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let names = self.regex.capture_names().enumerate();
        names.filter_map(|(group, name)| {
            let found = self.locations.get(group);
            let bytes = found.and_then(|(start, end)| self.bytes.get(start..end));
            Some((name?, bytes.unwrap_or_default()))
        })
    }

    /// Appends a template to `text`, with `$1`, `${1}` and `${name}` replaced by the contents of the groups.
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
