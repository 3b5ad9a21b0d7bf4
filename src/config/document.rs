//! The document: its parts, read one after the other.

use super::levels::Levels;
use super::monitor;
use super::pieces::split;
use super::place::Place;
use super::services;
use super::settings::Config;
use super::written::DocumentOptions;
use super::yaml::{Node, fields};

/// Resolves the tree of a document. What is wrong is reported; then the configuration is not complete.
pub fn resolve(root: &Node, place: &Place<'_>) -> Config {
    let Some(pieces) = split(root, place, [fields::<DocumentOptions>()]) else {
        return Config::default();
    };
    let [document] = &pieces.parts;
    if let Some(modules) = document.get("modules") {
        let is_empty = modules.is_null() || modules.entries().is_some_and(<[_]>::is_empty);
        if !is_empty {
            let message = "not supported by this version: leave it out, or empty ({})";
            place.field("modules").error_at_key(message);
        }
    }
    monitor::remark_logging(document.get("logging"), &place.field("logging"));
    let levels = Levels::read(document, place);
    let services = match document.get("services").filter(|services| !services.is_null()) {
        Some(list) => services::resolve(list, &place.field("services"), &levels),
        None => {
            if pieces.unknown.is_empty() {
                place
                    .error("services is missing: list what is to be watched, there is nothing to do without");
            }
            Vec::new()
        }
    };
    Config { services }
}
