//! The Hugging Face Hub: `whoami-v2` proves a token. The Hub lists millions of models to everybody, so expected models are requested one
//! by one (Hub API endpoints).

use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

use super::fields::{text, time};
use super::page::{Dialect, KeyHeader};
use crate::check::provider_results::ListedModel;
use crate::config::provider::BaseUrl;
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

/// Whether this is the description of an account, which has a name and a type ("user" or "org").
pub fn is_account(body: &Value) -> bool {
    body["name"].is_string() || body["type"].is_string()
}

/// Whether a model has another name now: the Hub redirects the old name, and its clients follow. The check does not follow, but the model
/// is there.
pub fn is_renamed(status: u16, headers: &HeaderMap, base_url: &BaseUrl) -> bool {
    let models = base_url.endpoint(&model_path(""));
    let location = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| models.join(location).ok());
    let is_model = |url: Url| url.origin() == models.origin() && url.path().starts_with(models.path());
    matches!(status, 301 | 302 | 307 | 308) && target.is_some_and(is_model)
}

/// A model with another name now, of which nothing else is known.
pub fn renamed(id: &str) -> ListedModel {
    ListedModel {
        model: Model {
            id: id.to_owned(),
            ..Model::default()
        },
        aliases: Vec::new(),
    }
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
