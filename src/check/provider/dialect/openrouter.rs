//! OpenRouter: `/key` proves a key and has its credits. The list of models is public (OpenRouter, "Limits" and "List available models").

use serde_json::Value;

use super::fields::{capabilities, count, entries, text, texts, time};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The endpoint that responds only to a valid key.
pub const KEY_PATH: &str = "/key";

/// The dialect.
pub const DIALECT: Dialect = Dialect {
    path: "/models",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[],
    page_parameter: "page",
    parse,
};

/// Reads the remaining credits of a key: `Some(None)` for a key without a limit, `None` if it is not a description of a key.
pub fn parse_key(body: &Value) -> Option<Option<f64>> {
    let data = body["data"].as_object()?;
    Some(data.get("limit_remaining").and_then(Value::as_f64))
}

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "data", |entry| {
        let architecture = &entry["architecture"];
        let parameters = texts(&entry["supported_parameters"]);
        let found = texts(&architecture["input_modalities"])
            .chain(texts(&architecture["output_modalities"]))
            .chain(
                parameters
                    .filter(|name| matches!(name.as_str(), "tools" | "reasoning" | "structured_outputs")),
            );
        Some(ListedModel {
            model: Model {
                id: text(&entry["id"])?,
                name: text(&entry["name"]),
                created: time(&entry["created"]),
                context_length: count(&entry["context_length"]),
                max_output_tokens: count(&entry["top_provider"]["max_completion_tokens"]),
                capabilities: capabilities(found),
                ..Model::default()
            },
            aliases: Vec::new(),
        })
    });
    Some(Page {
        models: models?,
        next: None,
    })
}
