//! OpenAI's list of models, which vLLM and other servers copy. It has one page (OpenAI API reference, "List models").

use serde_json::Value;

use super::fields::{count, entries, text, time};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The dialect.
pub const DIALECT: Dialect = Dialect {
    path: "/models",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[],
    page_parameter: "after",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "data", |entry| {
        Some(ListedModel {
            model: Model {
                id: text(&entry["id"])?,
                created: time(&entry["created"]),
                shutdown: time(&entry["shutdown_date"]),
                // vLLM.
                context_length: count(&entry["max_model_len"]),
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
