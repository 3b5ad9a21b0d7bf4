//! Conditions for the records of one section of a response.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place, all};

/// Conditions for the records of a section. Regular expressions match the text of a record:
/// `example.org.<tab>300<tab>IN<tab>A<tab>192.0.2.1`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidatorOptions {
    /// Fail if any of these matches a record.
    pub fail_if_matches_regexp: Vec<String>,
    /// Fail unless each of these matches every record. This is blackbox_exporter's behaviour, in spite of the name.
    pub fail_if_all_match_regexp: Vec<String>,
    /// Fail if any of these does not match a record, or if there are no records.
    pub fail_if_not_matches_regexp: Vec<String>,
    /// Fail if none of these matches any record.
    pub fail_if_none_matches_regexp: Vec<String>,
}

/// Resolved conditions for the records of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// None of these may match any record.
    pub matches: Vec<Pattern>,
    /// All of these must match every record, if there are any.
    pub all_match: Vec<Pattern>,
    /// All of these must match every record, and there must be at least one record.
    pub not_matches: Vec<Pattern>,
    /// One of these must match some record.
    pub none_matches: Vec<Pattern>,
}

impl ValidatorOptions {
    /// Compiles the regular expressions.
    ///
    /// # Errors
    /// Reported at the invalid ones.
    pub fn resolve(self, place: &Place<'_>) -> Result<Validators, Invalid> {
        let compile = |key, sources: Vec<String>| patterns(&place.field(key), &sources);
        let matches = compile("fail_if_matches_regexp", self.fail_if_matches_regexp);
        let all_match = compile("fail_if_all_match_regexp", self.fail_if_all_match_regexp);
        let not_matches = compile("fail_if_not_matches_regexp", self.fail_if_not_matches_regexp);
        let none_matches = compile("fail_if_none_matches_regexp", self.fail_if_none_matches_regexp);
        Ok(Validators {
            matches: matches?,
            all_match: all_match?,
            not_matches: not_matches?,
            none_matches: none_matches?,
        })
    }
}

fn patterns(place: &Place<'_>, sources: &[String]) -> Result<Vec<Pattern>, Invalid> {
    let sources = sources.iter().enumerate();
    all(sources.map(|(index, source)| place.index(index).compile_pattern(source)))
}
