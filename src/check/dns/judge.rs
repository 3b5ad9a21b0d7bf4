//! Whether an answer is what the check demands: its response code, and the records of its sections.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};

use super::families::Numbers;
use super::text;
use crate::config::budget::{Budget, Exhausted};
use crate::config::dns::{DnsQuery, Validators, rcode_name};
use crate::config::pattern::Pattern;
use crate::model::{Problem, Reason};

/// A section of an answer that has records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who is responsible for it.
    Authority,
    /// What helps with the others.
    Additional,
}

impl Section {
    /// In the order of a message, which is that of [`DnsQuery::validators`].
    pub const ALL: [Self; 3] = [Self::Answer, Self::Authority, Self::Additional];

    /// The name in labels, messages and keys (`validate_NAME_rrs`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Additional => "additional",
        }
    }
}

/// What an answer is told of in numbers.
pub fn numbers(answer: &Message, query: &DnsQuery) -> Numbers {
    let serial = match query.record_type {
        RecordType::SOA => answer.answers.iter().rev().find_map(|record| match &record.data {
            RData::SOA(zone) => Some(zone.serial),
            _ => None,
        }),
        _ => None,
    };
    Numbers {
        rcode: answer.metadata.response_code.into(),
        records: [
            answer.answers.len(),
            answer.authorities.len(),
            // The pseudo-records count: they are in the section.
            answer.additionals.len()
                + usize::from(answer.edns.is_some())
                + usize::from(answer.signature.is_some()),
        ],
        asks_for_soa: query.record_type == RecordType::SOA,
        serial,
    }
}

/// Holds an answer against what is demanded of it. The inner error is the first demand that it does not meet.
///
/// # Errors
/// When the budget does not suffice.
pub fn judge(answer: &Message, query: &DnsQuery, budget: &Budget) -> Result<Result<(), Problem>, Exhausted> {
    let rcode = answer.metadata.response_code.into();
    if !query.rcodes.contains(&rcode) {
        let fine: Vec<String> = query.rcodes.iter().map(|code| rcode_name(*code)).collect();
        let message = format_args!(
            "{} {}: the answer is {}, not {}",
            query.name,
            query.record_type,
            rcode_name(rcode),
            fine.join(" or ")
        );
        return Ok(Err(Problem::new(Reason::Status, message)));
    }
    let sections = [&answer.answers, &answer.authorities, &answer.additionals];
    for ((section, records), demands) in Section::ALL.iter().zip(sections).zip(&query.validators) {
        if *demands == Validators::default() {
            continue;
        }
        let mut texts: Vec<String> = records.iter().map(text::record).collect();
        if *section == Section::Additional {
            texts.extend(answer.edns.iter().map(text::edns));
        }
        if let Err(fault) = records_are(&texts, demands, budget)? {
            let cut = match answer.metadata.truncation {
                true => " (the answer is cut to fit into a datagram: ask with transport_protocol: tcp)",
                false => "",
            };
            let message = format_args!(
                "{} {}, {} section: {fault}{cut}",
                query.name,
                query.record_type,
                section.as_str()
            );
            return Ok(Err(Problem::new(Reason::Assertion, message)));
        }
    }
    Ok(Ok(()))
}

/// The first record that has one of the patterns for which it is faulty to match, or not to match.
fn first(
    texts: &[String],
    patterns: &[Pattern],
    matches: bool,
    budget: &Budget,
) -> Result<Option<(String, Pattern)>, Exhausted> {
    for text in texts {
        for pattern in patterns {
            if pattern.finds(text.as_bytes(), budget)? == matches {
                let text = text.trim_start().replace(['\t', '\n'], " ");
                return Ok(Some((text, pattern.clone())));
            }
        }
    }
    Ok(None)
}

fn records_are(
    texts: &[String],
    demands: &Validators,
    budget: &Budget,
) -> Result<Result<(), String>, Exhausted> {
    let first = |patterns: &[Pattern], matches: bool| first(texts, patterns, matches, budget);
    let needing = [
        ("fail_if_not_matches_regexp", &demands.not_matches),
        ("fail_if_none_matches_regexp", &demands.none_matches),
    ];
    if let Some((key, _)) = needing.iter().find(|(_, patterns)| !patterns.is_empty())
        && texts.is_empty()
    {
        return Ok(Err(format!("there is no record, which {key} needs")));
    }
    if let Some((text, pattern)) = first(&demands.matches, true)? {
        return Ok(Err(format!(
            "\"{text}\" matches {pattern:?} of fail_if_matches_regexp"
        )));
    }
    if let Some((text, pattern)) = first(&demands.not_matches, false)? {
        return Ok(Err(format!(
            "\"{text}\" does not match {pattern:?} of fail_if_not_matches_regexp"
        )));
    }
    if let Some((text, pattern)) = first(&demands.all_match, false)? {
        return Ok(Err(format!(
            "\"{text}\" does not match {pattern:?} of fail_if_all_match_regexp, which has to match every record"
        )));
    }
    if !demands.none_matches.is_empty() && first(&demands.none_matches, true)?.is_none() {
        return Ok(Err(
            "no record matches any of fail_if_none_matches_regexp".to_owned()
        ));
    }
    Ok(Ok(()))
}
