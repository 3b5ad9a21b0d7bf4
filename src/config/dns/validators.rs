//! What the records of one section of an answer must be like.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place};

/// Demands on the records of a section, as written. A record is matched as its text:
/// `example.org.<tab>300<tab>IN<tab>A<tab>192.0.2.1`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValidatorOptions {
    /// Fail where one of these matches a record.
    pub fail_if_matches_regexp: Vec<String>,
    /// Fail unless each of these matches every record, as blackbox_exporter does, whatever the name says.
    pub fail_if_all_match_regexp: Vec<String>,
    /// Fail where one of these does not match a record, or there is no record.
    pub fail_if_not_matches_regexp: Vec<String>,
    /// Fail where no record is matched by any of these.
    pub fail_if_none_matches_regexp: Vec<String>,
}

/// Demands on the records of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// None of these may match any record.
    pub matches: Vec<Pattern>,
    /// All of these must match every record, if there are any.
    pub all_match: Vec<Pattern>,
    /// All of these must match every record, and there must be one.
    pub not_matches: Vec<Pattern>,
    /// One of these must match some record.
    pub none_matches: Vec<Pattern>,
}

impl ValidatorOptions {
    /// Compiles the expressions.
    ///
    /// # Errors
    /// Reported at them.
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
    let compiled: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| Pattern::read(&place.index(index), source))
        .collect();
    compiled.into_iter().collect()
}
