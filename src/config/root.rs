//! Resolves the root of a configuration: its sections, one after the other.

use std::sync::Arc;

use super::chatstack_format;
use super::key_split::split_by_keys;
use super::maintenance;
use super::monitor;
use super::options::RootOptions;
use super::place::Place;
use super::probe;
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
    monitor::warn_about_logging(document.get("logging"), &place.field("logging"));
    let tier_defaults = TierDefaults::read(document, place);
    let services = match document.get("services").filter(|services| !services.is_null()) {
        Some(list) => services::resolve(list, &place.field("services"), &tier_defaults),
        None => {
            let has_modules = document.get("modules").is_some_and(|modules| !modules.is_null());
            if split.unknown.is_empty() && !has_modules {
                place.error("services is missing: list the services to check, or modules for /probe");
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
    }
}
