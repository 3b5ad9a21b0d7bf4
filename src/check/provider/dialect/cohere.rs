//! Cohere's list of models (Cohere API reference, "List Models"). Its endpoint for checking a key is deprecated.

use serde_json::Value;

use super::fields::{capabilities, count, entries, text, texts, token};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The dialect. A page has at most 1000 models.
pub const DIALECT: Dialect = Dialect {
    path: "/v1/models",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[("page_size", "1000")],
    page_parameter: "page_token",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "models", |entry| {
        let found = texts(&entry["endpoints"]).chain(texts(&entry["features"]));
        Some(ListedModel {
            model: Model {
                id: text(&entry["name"])?,
                context_length: count(&entry["context_length"]),
                is_deprecated: entry["is_deprecated"] == true,
                capabilities: capabilities(found),
                ..Model::default()
            },
            aliases: Vec::new(),
        })
    });
    Some(Page {
        models: models?,
        next: token(&page["next_page_token"]),
    })
}
