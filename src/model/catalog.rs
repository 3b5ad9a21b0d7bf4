//! The models that a provider offers, as a run read them from the provider's list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scrubber::Scrubber;
use super::text::visible;

/// The maximum number of models of a catalog. The longest lists in use (aggregators of many providers) have about 500.
pub const MAX_MODELS: usize = 2000;

/// The maximum length of an id or a name, in bytes. Ids with the names of an organisation and a fine-tuned model have about 100.
const MAX_NAME_BYTES: usize = 256;

/// The maximum number of capabilities of a model. Providers name at most about ten.
const MAX_CAPABILITIES: usize = 16;

/// The maximum length of a capability, in bytes.
const MAX_CAPABILITY_BYTES: usize = 64;

/// A model, as its provider describes it. A field that the provider does not send is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The id that requests use.
    pub id: String,
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// What it can be used for, in the provider's words: `chat`, `embed`, `image`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub capabilities: Vec<String>,
    /// How many tokens a request and its response may have together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context_length: Option<u64>,
    /// How many tokens a response may have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_output_tokens: Option<u64>,
    /// When the provider published it, as a Unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<i64>,
    /// When the provider shuts it down, as a Unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shutdown: Option<i64>,
    /// Whether the provider advises against its use.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_deprecated: bool,
}

impl Model {
    /// Makes the texts visible and bounds them, because the provider sent them.
    fn bound(mut self) -> Self {
        self.id = visible(&self.id, MAX_NAME_BYTES);
        self.name = self.name.filter(|name| !name.is_empty());
        self.name = self.name.map(|name| visible(&name, MAX_NAME_BYTES));
        self.capabilities.truncate(MAX_CAPABILITIES);
        for capability in &mut self.capabilities {
            *capability = visible(capability, MAX_CAPABILITY_BYTES);
        }
        self
    }

    /// All texts.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let names = std::iter::once(&mut self.id).chain(&mut self.name);
        names.chain(&mut self.capabilities)
    }
}

/// The models that a provider offered at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The provider's name in the configuration.
    pub provider: &'static str,
    /// When the provider sent the list, as a Unix time in seconds. A run may report a list that an earlier run received.
    pub fetched: i64,
    /// The models in the order of their ids. Each id appears once. At most [`MAX_MODELS`].
    pub models: Vec<Model>,
    /// How many more models the provider listed.
    pub omitted: usize,
}

impl Catalog {
    /// A catalog of the models that `provider` listed at the Unix time `fetched`. The texts become visible and bounded. Models without
    /// an id are ignored, and of models with the same id all but the first.
    pub fn new(provider: &'static str, fetched: i64, listed: impl IntoIterator<Item = Model>) -> Self {
        let mut models = BTreeMap::new();
        let mut omitted = 0;
        for model in listed.into_iter().filter(|model| !model.id.is_empty()) {
            let model = model.bound();
            if models.len() < MAX_MODELS {
                models.entry(model.id.clone()).or_insert(model);
            } else if !models.contains_key(&model.id) {
                omitted += 1;
            }
        }
        Self {
            provider,
            fetched,
            models: models.into_values().collect(),
            omitted,
        }
    }

    /// The catalog with secrets hidden. `None` if there are none in it.
    #[must_use]
    pub fn scrubbed(&self, scrubber: &Scrubber) -> Option<Self> {
        let mut models = self.models.clone();
        let mut has_changed = false;
        for text in models.iter_mut().flat_map(Model::texts) {
            if let Cow::Owned(scrubbed) = scrubber.scrub(text) {
                *text = scrubbed;
                has_changed = true;
            }
        }
        has_changed.then(|| Self {
            omitted: self.omitted,
            ..Self::new(self.provider, self.fetched, models)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: impl Into<String>) -> Model {
        Model {
            id: id.into(),
            ..Model::default()
        }
    }

    #[test]
    fn a_catalog_is_sorted_bounded_and_has_each_id_once() {
        let ids = (0..MAX_MODELS + 7).map(|number| model(format!("m{number:05}")));
        let listed = [model("z"), model(""), model("a")].into_iter().chain(ids);
        let listed = listed.chain([model("z"), model("m99999")]);
        let catalog = Catalog::new("openai", 5, listed);
        assert_eq!(catalog.models.len(), MAX_MODELS);
        assert_eq!(catalog.omitted, 2 + 7 + 1);
        assert_eq!(catalog.models[0].id, "a");
        assert_eq!(catalog.models[1].id, "m00000");
        assert_eq!(catalog.models[MAX_MODELS - 1].id, "z");
    }

    #[test]
    fn texts_of_the_provider_are_visible_and_bounded() {
        let listed = Model {
            id: "a\u{202e}b\n".to_owned(),
            name: Some("n".repeat(1000)),
            capabilities: vec!["c".repeat(1000); 100],
            ..Model::default()
        };
        let catalog = Catalog::new("openai", 5, [listed]);
        let found = &catalog.models[0];
        assert_eq!(found.id, "a\\u{202e}b\\n");
        assert!(
            found
                .name
                .as_ref()
                .is_some_and(|name| name.len() <= MAX_NAME_BYTES)
        );
        assert_eq!(found.capabilities.len(), MAX_CAPABILITIES);
        assert!(
            found
                .capabilities
                .iter()
                .all(|text| text.len() <= MAX_CAPABILITY_BYTES)
        );
    }

    #[test]
    fn secrets_are_hidden_in_every_text() {
        let secret = "sk-0123456789abcdef";
        let scrubber = Scrubber::new([secret].into_iter(), "api.example.com");
        let listed = Model {
            id: format!("ft:{secret}"),
            name: Some(secret.to_owned()),
            capabilities: vec![format!("chat {secret}")],
            ..Model::default()
        };
        let catalog = Catalog::new("openai", 5, [listed, model("other")]);
        let scrubbed = catalog.scrubbed(&scrubber).unwrap();
        assert!(!format!("{scrubbed:?}").contains("0123456789"), "{scrubbed:?}");
        assert_eq!(scrubbed.models[0].id, "ft:<secret>");
        assert_eq!((scrubbed.fetched, scrubbed.models.len()), (5, 2));
        let clean = Catalog::new("openai", 5, [model("other")]);
        assert_eq!(clean.scrubbed(&scrubber), None);
    }

    #[test]
    fn a_model_survives_being_saved() {
        let saved = Model {
            id: "a".to_owned(),
            shutdown: Some(1_800_000_000),
            is_deprecated: true,
            ..Model::default()
        };
        let text = serde_json::to_string(&saved).unwrap();
        assert_eq!(text, r#"{"id":"a","shutdown":1800000000,"is_deprecated":true}"#);
        assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), saved);
    }
}
