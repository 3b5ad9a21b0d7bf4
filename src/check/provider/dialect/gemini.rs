//! The list of models of the Gemini API ("models.list").

use serde_json::Value;

use super::fields::{capabilities, count, entries, text, texts, token};
use super::page::{Dialect, KeyHeader, Page};
use crate::check::provider_results::ListedModel;
use crate::model::Model;

/// The dialect. A page has at most 1000 models. The key is in a header, because the query of a URL ends up in logs.
pub const DIALECT: Dialect = Dialect {
    path: "/v1beta/models",
    key_header: KeyHeader::Plain("x-goog-api-key"),
    headers: &[],
    query: &[("pageSize", "1000")],
    page_parameter: "pageToken",
    parse,
};

fn parse(page: &Value) -> Option<Page> {
    let models = entries(page, "models", |entry| {
        let name = text(&entry["name"])?;
        let thinking = (entry["thinking"] == true).then(|| "thinking".to_owned());
        Some(ListedModel {
            model: Model {
                id: name.strip_prefix("models/").unwrap_or(&name).to_owned(),
                name: text(&entry["displayName"]),
                context_length: count(&entry["inputTokenLimit"]),
                max_output_tokens: count(&entry["outputTokenLimit"]),
                capabilities: capabilities(texts(&entry["supportedGenerationMethods"]).chain(thinking)),
                ..Model::default()
            },
            aliases: vec![name],
        })
    });
    Some(Page {
        models: models?,
        next: token(&page["nextPageToken"]),
    })
}
