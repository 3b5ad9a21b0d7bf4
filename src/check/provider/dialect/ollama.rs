//! Ollama's list of local models (Ollama API, "List Local Models").

use serde_json::Value;

use super::fields::{entries, text, time};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The tag that Ollama adds to a name without a tag.
const DEFAULT_TAG: &str = ":latest";

/// The dialect.
pub const DIALECT: Dialect = Dialect {
    path: "/api/tags",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[],
    page_parameter: "page",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "models", |entry| {
        let id = text(&entry["model"]).or_else(|| text(&entry["name"]))?;
        Some(ListedModel {
            aliases: id
                .strip_suffix(DEFAULT_TAG)
                .map(str::to_owned)
                .into_iter()
                .collect(),
            model: Model {
                id,
                created: time(&entry["modified_at"]),
                ..Model::default()
            },
        })
    });
    Some(Page {
        models: models?,
        next: None,
    })
}
