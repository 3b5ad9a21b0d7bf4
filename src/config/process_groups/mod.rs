//! The configuration of process groups: rules that name processes, in process-exporter's format, and how they are grouped.
//!
//! The rules are in the section `process_groups` of the configuration, or in a file of process-exporter
//! ([`super::process_names_file`]).

mod rule;
pub mod template;

use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

pub use rule::{Executable, NamingRule, NamingRuleOptions};

use super::duration::DurationText;
use super::place::{Invalid, Place, all};
use super::yaml::{Node, PartialRead, read};

/// The maximum number of rules.
const MAX_RULES: usize = 1000;

/// The options of the section `process_groups`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["process_names"]))]
pub struct ProcessGroupsOptions {
    /// Rules that name processes. Processes with the same name form a group; the first matching rule names a process.
    pub process_names: Option<Vec<NamingRuleOptions>>,
    /// Whether processes that match no rule belong to the group of their closest ancestor that has one. Default: true.
    pub children: Option<bool>,
    /// Whether there are metrics for threads by name. Default: true.
    pub threads: Option<bool>,
    /// Whether the proportional memory is read from smaps_rollup, which takes time for large processes. Default: true.
    pub gather_smaps: Option<bool>,
    /// Whether processes without a group are compared with the rules again at every scrape. Default: false.
    pub recheck: Option<bool>,
    /// The age of a process up to which it is compared again; turns recheck on. Default: no limit.
    pub recheck_with_time_limit: Option<DurationText>,
    /// Whether groups disappear when their last process ends. Default: false.
    pub remove_empty_groups: Option<bool>,
}

/// The settings of process groups.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessGroupSettings {
    /// The rules, in the order of the file.
    pub rules: Vec<NamingRule>,
    /// How groups are formed and measured.
    pub switches: Switches,
}

/// How groups are formed and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Whether processes that match no rule belong to the group of their closest ancestor that has one.
    pub children: bool,
    /// Whether there are metrics for threads.
    pub threads: bool,
    /// Whether smaps_rollup is read.
    pub smaps: bool,
    /// Whether processes without a group are compared with the rules again.
    pub recheck: bool,
    /// The age of a process up to which it is compared again.
    pub recheck_limit: Option<Duration>,
    /// Whether groups disappear when their last process ends.
    pub remove_empty_groups: bool,
}

impl Default for Switches {
    /// The defaults of process-exporter's flags.
    fn default() -> Self {
        Self {
            children: true,
            threads: true,
            smaps: true,
            recheck: false,
            recheck_limit: None,
            remove_empty_groups: false,
        }
    }
}

/// Resolves the section, which is the list of rules or a mapping. `None` if it is missing. Reports errors.
pub fn resolve(section: Option<&Node>, place: &Place<'_>) -> Option<Arc<ProcessGroupSettings>> {
    let section = section.filter(|section| !section.is_null())?;
    let settings = match section.items() {
        Some(_) => resolve_rules(read(section, place), place).map(|rules| ProcessGroupSettings {
            rules,
            switches: Switches::default(),
        }),
        None => resolve_mapping(read(section, place), place),
    };
    settings.ok().map(Arc::new)
}

fn resolve_mapping(
    mapping: PartialRead<ProcessGroupsOptions>,
    place: &Place<'_>,
) -> Result<ProcessGroupSettings, Invalid> {
    let PartialRead { value, invalid } = mapping;
    let options = value.ok_or(Invalid)?;
    let rules_place = place.field("process_names");
    let switches = options.switches();
    let Some(rules) = options.process_names else {
        if invalid.contains(rules_place.path()) {
            return Err(Invalid);
        }
        return Err(place.error(
            "process_names is missing: add a rule, such as process_names: [{ name: \"{{.Comm}}\", cmdline: [\".+\"] }]",
        ));
    };
    let rules = PartialRead {
        value: Some(rules),
        invalid,
    };
    let rules = resolve_rules(rules, &rules_place)?;
    Ok(ProcessGroupSettings { rules, switches })
}

impl ProcessGroupsOptions {
    fn switches(&self) -> Switches {
        let defaults = Switches::default();
        let limit = self.recheck_with_time_limit.map(|limit| limit.0);
        let recheck_limit = limit.filter(|limit| !limit.is_zero());
        Switches {
            children: self.children.unwrap_or(defaults.children),
            threads: self.threads.unwrap_or(defaults.threads),
            smaps: self.gather_smaps.unwrap_or(defaults.smaps),
            recheck: self.recheck.unwrap_or(defaults.recheck) || recheck_limit.is_some(),
            recheck_limit,
            remove_empty_groups: self.remove_empty_groups.unwrap_or(defaults.remove_empty_groups),
        }
    }
}

/// Resolves the list of rules at `place`.
///
/// # Errors
/// Reported at their places.
pub fn resolve_rules(
    rules: PartialRead<Vec<NamingRuleOptions>>,
    place: &Place<'_>,
) -> Result<Vec<NamingRule>, Invalid> {
    let PartialRead { value, invalid } = rules;
    let rules = value.ok_or(Invalid)?;
    if rules.len() > MAX_RULES {
        return Err(place.error(format_args!(
            "{} rules are too many: write at most {MAX_RULES}",
            rules.len()
        )));
    }
    all(rules.into_iter().enumerate().map(|(index, rule)| {
        let place = place.index(index);
        let is_partial = invalid.iter().any(|path| path.is_within(place.path()));
        rule.resolve(&place, is_partial)
    }))
}

/// The schema of the section: a list of rules, or a mapping.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mapping = generator.subschema_for::<ProcessGroupsOptions>();
    let rules = generator.subschema_for::<Vec<NamingRuleOptions>>();
    json_schema!({ "anyOf": [mapping, rules, { "type": "null" }] })
}

#[cfg(test)]
mod tests;
