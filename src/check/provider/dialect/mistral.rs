//! Mistral's list of models. It has one page (Mistral API, "List Available Models").

use serde_json::Value;

use super::fields::{aliases, capabilities, count, enabled, entries, text, time};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The dialect.
pub const DIALECT: Dialect = Dialect {
    path: "/v1/models",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[],
    page_parameter: "page",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "data", |entry| {
        let shutdown = time(&entry["deprecation"]);
        Some(ListedModel {
            model: Model {
                id: text(&entry["id"])?,
                name: text(&entry["name"]),
                created: time(&entry["created"]),
                context_length: count(&entry["max_context_length"]),
                capabilities: capabilities(enabled(&entry["capabilities"])),
                shutdown,
                is_deprecated: shutdown.is_some(),
                ..Model::default()
            },
            aliases: aliases(&entry["aliases"]),
        })
    });
    Some(Page {
        models: models?,
        next: None,
    })
}
