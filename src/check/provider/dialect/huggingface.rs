//! The Hugging Face Hub: `whoami-v2` proves a token. The Hub lists millions of models to everybody, so expected models are requested one
//! by one (Hub API endpoints).

use serde_json::Value;

use super::fields::{text, time};
use super::page::{Dialect, KeyHeader};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The endpoint that responds only to a valid token. Its rate limit is strict.
pub const WHOAMI_PATH: &str = "/api/whoami-v2";

/// The dialect.
pub const DIALECT: Dialect = Dialect {
    path: "/api/models",
    key_header: KeyHeader::Bearer,
    headers: &[],
    query: &[],
    page_parameter: "cursor",
    // Models are requested one by one.
    parse: |_| None,
};

/// The path of a model. The id was validated: it has only characters that need no encoding.
pub fn model_path(id: &str) -> String {
    format!("/api/models/{id}")
}

/// Reads the description of one model.
pub fn parse_model(entry: &Value) -> Option<ListedModel> {
    Some(ListedModel {
        model: Model {
            id: text(&entry["id"])?,
            created: time(&entry["createdAt"]),
            capabilities: text(&entry["pipeline_tag"]).into_iter().collect(),
            ..Model::default()
        },
        aliases: Vec::new(),
    })
}
