//! Facts that a provider reports: its models, and what it still allows.

use serde::{Deserialize, Serialize};

use crate::model::Model;

/// A model of a list, with other names that requests can use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedModel {
    /// The model.
    #[serde(flatten)]
    pub model: Model,
    /// Other ids of the same model.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub aliases: Vec<String>,
}

impl ListedModel {
    /// All texts.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let names = std::iter::once(&mut self.model.id).chain(&mut self.model.name);
        names.chain(&mut self.model.capabilities).chain(&mut self.aliases)
    }
}

/// What the provider still allows, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remaining {
    /// Requests in the current window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens in the current window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Credits of the key, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<f64>,
}
