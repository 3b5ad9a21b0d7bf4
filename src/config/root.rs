//! Resolves the root of a configuration: its sections, one after the other.

use std::sync::Arc;

use super::chatstack_format;
use super::key_split::{SplitMapping, split_by_keys};
use super::maintenance;
use super::monitor;
use super::options::RootOptions;
use super::others::Others;
use super::place::Place;
use super::probe;
use super::process_groups;
use super::services;
use super::settings::Config;
use super::tier_defaults::TierDefaults;
use super::yaml::{Node, fields};

/// Resolves the tree of a document. If it reports errors, the result is incomplete.
pub fn resolve(root: &Node, place: &Place<'_>) -> Config {
    let Some((document, unknown)) = sections(root, place) else {
        return Config::default();
    };
    let is_given = |key| document.get(key).is_some_and(|value| !value.is_null());
    if unknown == 0
        && !["services", "modules", "process_groups"]
            .into_iter()
            .any(is_given)
    {
        place.error("services is missing: list the services to check, modules for /probe, or process_groups");
    }
    resolve_sections(&document, Others::default(), place)
}

/// Returns the sections of a document in this exporter's format, and how many of its keys are unknown. `None` if it is not a mapping.
/// Errors are reported.
pub fn sections(root: &Node, place: &Place<'_>) -> Option<(Node, usize)> {
    let root = chatstack_format::relax(root, place);
    let SplitMapping {
        parts: [document],
        unknown,
    } = split_by_keys(&root, place, [fields::<RootOptions>()])?;
    Some((document, unknown.len()))
}

/// Resolves sections. If it reports errors, the result is incomplete.
pub fn resolve_sections(document: &Node, others: Others<'_>, place: &Place<'_>) -> Config {
    let probe = probe::resolve(document.get("modules"), document.get("probe"), place);
    let groups = document.get("process_groups");
    let process_groups = process_groups::resolve(groups, &place.field("process_groups"));
    monitor::warn_about_logging(document.get("logging"), &place.field("logging"));
    let tier_defaults = TierDefaults::read(document, place);
    let services = match document.get("services").filter(|services| !services.is_null()) {
        Some(list) => services::resolve(list, &place.field("services"), &tier_defaults, others),
        None => Vec::new(),
    };
    let known = others.services.iter();
    let elsewhere = maintenance::Elsewhere {
        services: known.map(|service| (&service.key, &*service.group)).collect(),
        is_incomplete: others.is_incomplete,
    };
    let windows = maintenance::resolve(
        document.get("maintenance"),
        document.get("services"),
        &elsewhere,
        &place.field("maintenance"),
    );
    Config {
        services,
        maintenance: windows.into_iter().map(Arc::new).collect(),
        probe,
        heal: tier_defaults.heal_limits(),
        process_groups,
    }
}
