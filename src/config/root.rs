//! The document: its parts, read one after the other.

use super::key_split::split;
use super::levels::Levels;
use super::monitor;
use super::old_form;
use super::place::Place;
use super::probe;
use super::services;
use super::settings::Config;
use super::written::DocumentOptions;
use super::yaml::{Node, fields};

/// Resolves the tree of a document. What is wrong is reported; then the configuration is not complete.
pub fn resolve(root: &Node, place: &Place<'_>) -> Config {
    let root = &old_form::relax(root, place);
    let Some(pieces) = split(root, place, [fields::<DocumentOptions>()]) else {
        return Config::default();
    };
    let [document] = &pieces.parts;
    let probe = probe::resolve(document.get("modules"), document.get("probe"), place);
    monitor::remark_logging(document.get("logging"), &place.field("logging"));
    let levels = Levels::read(document, place);
    let services = match document.get("services").filter(|services| !services.is_null()) {
        Some(list) => services::resolve(list, &place.field("services"), &levels),
        None => {
            let has_modules = document.get("modules").is_some_and(|modules| !modules.is_null());
            if pieces.unknown.is_empty() && !has_modules {
                place.error(
                    "services is missing: list what is to be watched (or modules for /probe), there is nothing to do without",
                );
            }
            Vec::new()
        }
    };
    Config { services, probe }
}
