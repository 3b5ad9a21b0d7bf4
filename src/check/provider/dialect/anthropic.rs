//! Anthropic's list of models (Claude API reference, "List Models").

use serde_json::Value;

use super::fields::{capabilities, count, enabled, entries, text, time, token};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The dialect. A page has at most 1000 models.
pub const DIALECT: Dialect = Dialect {
    path: "/v1/models",
    key_header: KeyHeader::Plain("x-api-key"),
    headers: &[("anthropic-version", "2023-06-01")],
    query: &[("limit", "1000")],
    page_parameter: "after_id",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "data", |entry| {
        Some(ListedModel {
            model: Model {
                id: text(&entry["id"])?,
                name: text(&entry["display_name"]),
                created: time(&entry["created_at"]),
                context_length: count(&entry["max_input_tokens"]),
                max_output_tokens: count(&entry["max_tokens"]),
                capabilities: capabilities(enabled(&entry["capabilities"])),
                ..Model::default()
            },
            aliases: Vec::new(),
        })
    });
    Some(Page {
        models: models?,
        next: token(&page["last_id"]).filter(|_| page["has_more"] == true),
    })
}
