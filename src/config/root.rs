//! Resolves the root of a configuration: its sections, one after the other.

use std::sync::Arc;

use super::chatstack_format;
use super::key_split::split_by_keys;
use super::maintenance;
use super::monitor;
use super::options::RootOptions;
use super::place::Place;
use super::probe;
use super::process_groups;
use super::services;
use super::settings::Config;
use super::tier_defaults::TierDefaults;
use super::yaml::{Node, fields};

/// Resolves the tree of a document. If it reports errors, the result is incomplete.
pub fn resolve(root: &Node, place: &Place<'_>) -> Config {
    let root = &chatstack_format::relax(root, place);
    let Some(split) = split_by_keys(root, place, [fields::<RootOptions>()]) else {
        return Config::default();
    };
    let [document] = &split.parts;
    let probe = probe::resolve(document.get("modules"), document.get("probe"), place);
    let groups = document.get("process_groups");
    let process_groups = process_groups::resolve(groups, &place.field("process_groups"));
    monitor::warn_about_logging(document.get("logging"), &place.field("logging"));
    let tier_defaults = TierDefaults::read(document, place);
    let services = match document.get("services").filter(|services| !services.is_null()) {
        Some(list) => services::resolve(list, &place.field("services"), &tier_defaults),
        None => {
            let is_given = |key| document.get(key).is_some_and(|section| !section.is_null());
            if split.unknown.is_empty() && !is_given("modules") && !is_given("process_groups") {
                place.error(
                    "services is missing: list the services to check, modules for /probe, or process_groups",
                );
            }
            Vec::new()
        }
    };
    let windows = maintenance::resolve(
        document.get("maintenance"),
        document.get("services"),
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
