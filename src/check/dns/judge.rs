//! Compares a response with the settings: its response code, and the records of its sections.

use super::response::Response;
use super::section::Section;
use crate::config::budget::{Budget, Exhausted};
use crate::config::dns::{DnsQuery, Validators, rcode_name};
use crate::config::pattern::Pattern;
use crate::model::{Problem, Reason};

/// Compares a response with the settings. The inner error is the first requirement that it does not meet.
///
/// # Errors
/// If the budget is exhausted.
pub fn judge(
    response: &Response,
    query: &DnsQuery,
    budget: &Budget,
) -> Result<Result<(), Problem>, Exhausted> {
    let rcode = response.rcode;
    if !query.rcodes.contains(&rcode) {
        let valid: Vec<String> = query.rcodes.iter().map(|code| rcode_name(*code)).collect();
        let message = format_args!(
            "{} {}: the response code is {}, expected {}",
            query.name,
            query.record_type,
            rcode_name(rcode),
            valid.join(" or ")
        );
        return Ok(Err(Problem::new(Reason::Status, message)));
    }
    for (section, validators) in Section::ALL.into_iter().zip(&query.validators) {
        if *validators == Validators::default() {
            continue;
        }
        let texts: Vec<&[u8]> = response.texts(section).collect();
        if let Err(violation) = validate(&texts, validators, budget)? {
            let cut = match response.is_truncated {
                true => " (the response was truncated to fit into a datagram: set transport_protocol to tcp)",
                false => "",
            };
            let message = format_args!(
                "{} {}, {} section: {violation}{cut}",
                query.name,
                query.record_type,
                section.as_str()
            );
            return Ok(Err(Problem::new(Reason::Assertion, message)));
        }
    }
    Ok(Ok(()))
}

/// Finds the first record for which a pattern matches (or does not match, if `matches` is false), with that pattern.
fn find_first(
    texts: &[&[u8]],
    patterns: &[Pattern],
    matches: bool,
    budget: &Budget,
) -> Result<Option<(String, Pattern)>, Exhausted> {
    for text in texts {
        for pattern in patterns {
            if pattern.finds(text, budget)? == matches {
                let text = String::from_utf8_lossy(text);
                let text = text.trim_start().replace(['\t', '\n'], " ");
                return Ok(Some((text, pattern.clone())));
            }
        }
    }
    Ok(None)
}

/// Applies the validators of one section. The inner error is the first violation.
fn validate(
    texts: &[&[u8]],
    validators: &Validators,
    budget: &Budget,
) -> Result<Result<(), String>, Exhausted> {
    let first = |patterns: &[Pattern], matches: bool| find_first(texts, patterns, matches, budget);
    let needing_records = [
        ("fail_if_not_matches_regexp", &validators.not_matches),
        ("fail_if_none_matches_regexp", &validators.none_matches),
    ];
    let mut needing_records = needing_records.iter();
    if let Some((key, _)) = needing_records.find(|(_, patterns)| !patterns.is_empty())
        && texts.is_empty()
    {
        return Ok(Err(format!("there are no records, but {key} needs at least one")));
    }
    if let Some((text, pattern)) = first(&validators.matches, true)? {
        return Ok(Err(format!(
            "\"{text}\" matches {pattern:?} of fail_if_matches_regexp"
        )));
    }
    if let Some((text, pattern)) = first(&validators.not_matches, false)? {
        return Ok(Err(format!(
            "\"{text}\" does not match {pattern:?} of fail_if_not_matches_regexp"
        )));
    }
    if let Some((text, pattern)) = first(&validators.all_match, false)? {
        return Ok(Err(format!(
            "\"{text}\" does not match {pattern:?} of fail_if_all_match_regexp, which must match every record"
        )));
    }
    if !validators.none_matches.is_empty() && first(&validators.none_matches, true)?.is_none() {
        return Ok(Err(
            "no record matches any of fail_if_none_matches_regexp".to_owned()
        ));
    }
    Ok(Ok(()))
}
