//! The models that providers offer, from the catalogs of all checks, with a search. `docs/openapi.yaml` describes the JSON.

use std::collections::BTreeSet;

use serde::Serialize;

use super::time::Time;
use crate::model::{Catalog, Model};
use crate::store::{CheckView, ServiceView, Snapshot};

/// The maximum number of providers or capabilities that are listed. Providers in use have about 20 capabilities in total.
const MAX_LISTED: usize = 100;

/// A search for models. Empty fields match every model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSearch {
    /// The provider.
    pub provider: Option<String>,
    /// Words, all of which must occur in the id or the name, in any case.
    pub text: Option<String>,
    /// A capability.
    pub capability: Option<String>,
}

/// A model with the check that found it.
#[derive(Clone, Copy, Debug)]
pub struct FoundModel<'a> {
    /// The list that contains it.
    pub source: ModelSource<'a>,
    /// The model.
    pub model: &'a Model,
}

/// A check with its list of models.
#[derive(Clone, Copy, Debug)]
pub struct ModelSource<'a> {
    /// The service of the check.
    pub service: &'a ServiceView,
    /// The check.
    pub check: &'a CheckView,
    /// The list.
    pub catalog: &'a Catalog,
}

/// The result of a search.
#[derive(Debug)]
pub struct FoundModels<'a> {
    /// All checks with a list, in the order of the configuration.
    pub sources: Vec<ModelSource<'a>>,
    /// The providers of all lists, at most `MAX_LISTED`.
    pub providers: BTreeSet<&'a str>,
    /// The capabilities of all models, at most `MAX_LISTED`.
    pub capabilities: BTreeSet<&'a str>,
    /// The models that match, by check and then by id.
    pub models: Vec<FoundModel<'a>>,
}

impl ModelSource<'_> {
    /// How old the list is in seconds. 0 if the clock was set back.
    #[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
    pub fn age(&self, taken: f64) -> f64 {
        (taken - self.catalog.fetched as f64).max(0.0)
    }
}

impl ModelSearch {
    /// Finds the models that match.
    pub fn find<'a>(&self, snapshot: &'a Snapshot) -> FoundModels<'a> {
        let sources: Vec<_> = model_sources(snapshot).collect();
        let mut found = FoundModels {
            providers: BTreeSet::new(),
            capabilities: BTreeSet::new(),
            models: Vec::new(),
            sources,
        };
        let words: Vec<String> = self
            .text
            .iter()
            .flat_map(|text| text.split_whitespace())
            .map(str::to_lowercase)
            .collect();
        for source in &found.sources {
            insert(&mut found.providers, source.catalog.provider);
            for model in &source.catalog.models {
                for capability in &model.capabilities {
                    insert(&mut found.capabilities, capability);
                }
                if self.matches(source.catalog, model, &words) {
                    found.models.push(FoundModel {
                        source: *source,
                        model,
                    });
                }
            }
        }
        found
    }

    /// Whether a model matches. `words` are the words of the text in lower case.
    fn matches(&self, catalog: &Catalog, model: &Model, words: &[String]) -> bool {
        let is_from = |provider: &String| catalog.provider == provider;
        let can = |capability: &String| model.capabilities.contains(capability);
        let has_words = || {
            let id = model.id.to_lowercase();
            let name = model.name.as_deref().unwrap_or_default().to_lowercase();
            words
                .iter()
                .all(|word| id.contains(word.as_str()) || name.contains(word.as_str()))
        };
        self.provider.as_ref().is_none_or(is_from) && self.capability.as_ref().is_none_or(can) && has_words()
    }
}

/// Every check with a list of models.
pub fn model_sources(snapshot: &Snapshot) -> impl Iterator<Item = ModelSource<'_>> {
    let checks = snapshot.services.iter().flat_map(|service| {
        let checks = service.checks.iter();
        checks.map(move |check| (service, check))
    });
    checks.filter_map(|(service, check)| {
        let catalog = check.catalog.as_deref()?;
        Some(ModelSource {
            service,
            check,
            catalog,
        })
    })
}

fn insert<'a>(listed: &mut BTreeSet<&'a str>, value: &'a str) {
    if listed.len() < MAX_LISTED {
        listed.insert(value);
    }
}

/// A page of the result of a search.
#[derive(Debug, Serialize)]
pub struct ModelsDocument<'a> {
    /// The time of the snapshot.
    pub generated_at: Time,
    /// How many models match.
    pub total: usize,
    /// How many of them come before `models`.
    pub offset: usize,
    /// The `offset` of the next page. `None` on the last one.
    pub next_offset: Option<usize>,
    /// The models of this page.
    pub models: Vec<ModelStatus<'a>>,
    /// The lists of all checks, in the order of the configuration.
    pub catalogs: Vec<CatalogStatus<'a>>,
    /// The providers of all lists.
    pub providers: BTreeSet<&'a str>,
    /// The capabilities of all models.
    pub capabilities: BTreeSet<&'a str>,
}

/// A model.
#[derive(Debug, Serialize)]
pub struct ModelStatus<'a> {
    /// The key of the service whose check found it.
    pub service: &'a str,
    /// The check that found it.
    pub check: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// The id that requests use.
    pub id: &'a str,
    /// The name for people.
    pub name: Option<&'a str>,
    /// What it can be used for.
    pub capabilities: &'a [String],
    /// How many tokens a request and its response may have together.
    pub context_length: Option<u64>,
    /// How many tokens a response may have.
    pub max_output_tokens: Option<u64>,
    /// When the provider published it.
    pub created: Option<Time>,
    /// When the provider shuts it down.
    pub shutdown: Option<Time>,
    /// Whether the provider advises against its use.
    pub deprecated: bool,
    /// How old the list is in seconds.
    pub age_seconds: u64,
}

/// The list of one check.
#[derive(Debug, Serialize)]
pub struct CatalogStatus<'a> {
    /// The key of the service.
    pub service: &'a str,
    /// The check.
    pub check: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// How many models the list has.
    pub models: usize,
    /// How many more models the provider listed.
    pub omitted: usize,
    /// When the provider sent the list.
    pub fetched: Time,
    /// How old the list is in seconds.
    pub age_seconds: u64,
}

/// The models from `offset` on, at most `limit`.
pub fn models<'a>(
    snapshot: &Snapshot,
    found: FoundModels<'a>,
    offset: usize,
    limit: usize,
) -> ModelsDocument<'a> {
    let total = found.models.len();
    let end = offset.saturating_add(limit);
    let page = found.models.into_iter().skip(offset).take(limit);
    let sources = found.sources.iter();
    ModelsDocument {
        generated_at: Time::new(snapshot.taken),
        total,
        offset,
        next_offset: (end < total).then_some(end),
        models: page.map(|found| model_status(&found, snapshot.taken)).collect(),
        catalogs: sources
            .map(|source| catalog_status(source, snapshot.taken))
            .collect(),
        providers: found.providers,
        capabilities: found.capabilities,
    }
}

#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn model_status<'a>(found: &FoundModel<'a>, taken: f64) -> ModelStatus<'a> {
    let (source, model) = (&found.source, found.model);
    let time = |unix: i64| Time::new(unix as f64);
    ModelStatus {
        service: source.service.service.key.as_str(),
        check: source.check.settings.name.as_str(),
        provider: source.catalog.provider,
        id: &model.id,
        name: model.name.as_deref(),
        capabilities: &model.capabilities,
        context_length: model.context_length,
        max_output_tokens: model.max_output_tokens,
        created: model.created.map(time),
        shutdown: model.shutdown.map(time),
        deprecated: model.is_deprecated,
        age_seconds: whole(source.age(taken)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn catalog_status<'a>(source: &ModelSource<'a>, taken: f64) -> CatalogStatus<'a> {
    CatalogStatus {
        service: source.service.service.key.as_str(),
        check: source.check.settings.name.as_str(),
        provider: source.catalog.provider,
        models: source.catalog.models.len(),
        omitted: source.catalog.omitted,
        fetched: Time::new(source.catalog.fetched as f64),
        age_seconds: whole(source.age(taken)),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}
