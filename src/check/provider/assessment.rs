//! Turns what is known about a provider into the result of a run: metrics, findings, a warning or a failure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::families::{
    EXPECTED_MODELS_MISSING, KEY_VALID, LAST_RESPONSE, MODEL_CHANGES, MODEL_SHUTDOWN, MODELS,
    REMAINING_CREDITS, REMAINING_REQUESTS, REMAINING_TOKENS, STATE,
};
use super::query::Refused;
use crate::check::provider_results::{Entry, KeyState, ListedModel};
use crate::config::duration::DurationText;
use crate::config::provider::{MAX_DATED, OnOutage, ProviderSettings};
use crate::model::{Catalog, Family, Finding, Problem, Reason, Report, Sample};

/// How long before its end a model is among the findings, in seconds. The first alert has the same time.
const ENDS_SOON_SECONDS: i64 = 30 * 24 * 3600;

/// How many missing models a message names. The findings have all.
const MAX_NAMED: usize = 5;

const SECONDS_PER_DAY: i64 = 24 * 3600;

/// What a run knows.
#[derive(Debug)]
pub struct Assessment<'a> {
    /// The settings of the check.
    pub settings: &'a ProviderSettings,
    /// What is remembered about the provider, after this run.
    pub entry: &'a Entry,
    /// Why this run got no list. `None` if it did, or if it uses the entry.
    pub refused: Option<Refused>,
    /// The current Unix time in seconds.
    pub now: i64,
}

/// An expected model, or one with a date.
struct Tracked<'a> {
    id: &'a str,
    listed: Option<&'a ListedModel>,
    end: Option<i64>,
}

impl Assessment<'_> {
    /// Records everything in the report.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub fn record(mut self, report: &mut Report) -> Result<(), Problem> {
        let refused = self.refused.take();
        let state = match &refused {
            Some(refused) => Some(refused.state),
            None => self.entry.state,
        };
        let tracked = self.tracked();
        let missing: Vec<&str> = match self.entry.listed {
            0 => Vec::new(),
            _ => tracked
                .iter()
                .filter(|model| model.listed.is_none() && self.is_expected(model.id))
                .map(|model| model.id)
                .collect(),
        };
        self.push_samples(state, &tracked, missing.len(), report);
        self.push_findings(state, &tracked, &missing, report);
        if self.entry.listed > 0 {
            let models = self.entry.models.iter().map(|listed| self.described(listed));
            let name = self.settings.connection.api.as_str();
            report.catalog = Some(Arc::new(Catalog::new(name, self.entry.listed, models)));
        }
        self.conclude(refused, &missing, report)
    }

    fn conclude(
        &self,
        refused: Option<Refused>,
        missing: &[&str],
        report: &mut Report,
    ) -> Result<(), Problem> {
        match refused {
            // A shortage of the exporter says nothing about the provider.
            Some(Refused { problem, .. }) if problem.shortage.is_some() => return Err(problem),
            Some(Refused {
                state: KeyState::Unavailable,
                problem,
            }) if self.settings.on_outage == OnOutage::Warning => {
                // An outage does not make a bad key good. The failure would end with the outage, and begin again after it.
                if let Some(last) = self.entry.problem().filter(|_| self.entry.is_known(self.now)) {
                    let message = format!("{}; now: {}", last.message(), problem.message());
                    return Err(last.with_message(message));
                }
                report.warning = Some(self.with_last_known(&problem));
                return Ok(());
            }
            Some(Refused {
                state: KeyState::RateLimited,
                problem,
            }) => {
                let is_known = self.entry.is_known(self.now);
                if !is_known {
                    report.warning = Some(problem);
                    return Ok(());
                }
                // The last answer stands.
            }
            Some(Refused { problem, .. }) => return Err(problem),
            None => {}
        }
        if let Some(problem) = self.entry.problem() {
            return Err(problem);
        }
        if !missing.is_empty() {
            report.warning = Some(self.missing_problem(missing));
        }
        Ok(())
    }

    fn missing_problem(&self, missing: &[&str]) -> Problem {
        let named = missing[..missing.len().min(MAX_NAMED)].join(", ");
        let more = match missing.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let provider = self.settings.connection.api.as_str();
        Problem::new(
            Reason::Missing,
            format_args!("{provider} does not offer expected models: {named}{more}"),
        )
    }

    /// The problem with the last answer about the key, so that a person sees at once that the key is not the cause.
    fn with_last_known(&self, problem: &Problem) -> Problem {
        match (self.entry.state, self.entry.age(self.now)) {
            (Some(state), Some(age)) => {
                let age = DurationText(age);
                problem.with_message(format_args!(
                    "{}; the last response, {age} ago, was: {state}",
                    problem.message()
                ))
            }
            _ => problem.clone(),
        }
    }

    fn is_expected(&self, id: &str) -> bool {
        self.settings
            .expected_models
            .iter()
            .any(|expected| expected == id)
    }

    /// The models with a series or a finding: the expected ones, or all with a date if none are expected.
    fn tracked(&self) -> Vec<Tracked<'_>> {
        let expected = &self.settings.expected_models;
        if !expected.is_empty() {
            let tracked = expected.iter().map(|id| {
                let listed = self.entry.offers(id);
                Tracked {
                    end: self.end(id, listed),
                    id,
                    listed,
                }
            });
            return tracked.collect();
        }
        let dated = self.settings.model_dates.iter().map(|(id, end)| Tracked {
            id,
            listed: self.entry.offers(id),
            end: Some(*end),
        });
        let listed = self.entry.models.iter().filter(|listed| {
            listed.model.shutdown.is_some() && !self.settings.model_dates.contains_key(&listed.model.id)
        });
        let listed = listed.map(|listed| Tracked {
            id: &listed.model.id,
            listed: Some(listed),
            end: listed.model.shutdown,
        });
        let mut all: Vec<Tracked<'_>> = dated.chain(listed).collect();
        // The models that end first matter most.
        all.sort_by_key(|model| (model.end, model.id));
        all.dedup_by(|one, other| one.id == other.id);
        all.truncate(MAX_DATED);
        all
    }

    /// When a model ends: the date of the configuration, or that of the provider.
    fn end(&self, id: &str, listed: Option<&ListedModel>) -> Option<i64> {
        let dates = &self.settings.model_dates;
        let listed_id = listed.map(|listed| listed.model.id.as_str());
        let written = dates.get(id).or_else(|| dates.get(listed_id?));
        written.copied().or_else(|| listed?.model.shutdown)
    }

    /// The model with the date of the configuration.
    fn described(&self, listed: &ListedModel) -> crate::model::Model {
        let mut model = listed.model.clone();
        model.shutdown = self.end(&model.id, Some(listed));
        model
    }

    #[allow(clippy::cast_precision_loss, reason = "counts and times are exact up to 2^53")]
    fn push_samples(
        &self,
        state: Option<KeyState>,
        tracked: &[Tracked<'_>],
        missing: usize,
        report: &mut Report,
    ) {
        let entry = self.entry;
        let mut push = |family: &'static Family, value: f64| {
            report.samples.push(Sample {
                family,
                labels: Vec::new(),
                value,
            });
        };
        if let Some(is_valid) = entry.state.and_then(KeyState::key_valid) {
            push(&KEY_VALID, f64::from(u8::from(is_valid)));
        }
        if entry.answered > 0 {
            push(&LAST_RESPONSE, entry.answered as f64);
        }
        if entry.listed > 0 {
            push(&MODELS, entry.models.len() as f64);
            if !self.settings.expected_models.is_empty() {
                push(&EXPECTED_MODELS_MISSING, missing as f64);
            }
        }
        for (family, value) in [
            (
                &REMAINING_REQUESTS,
                entry.remaining.requests.map(|count| count as f64),
            ),
            (
                &REMAINING_TOKENS,
                entry.remaining.tokens.map(|count| count as f64),
            ),
            (&REMAINING_CREDITS, entry.remaining.credits),
        ] {
            if let Some(value) = value {
                push(family, value);
            }
        }
        for known in KeyState::ALL {
            report.samples.push(Sample {
                family: &STATE,
                labels: vec![known.as_str().into()],
                value: f64::from(u8::from(state == Some(*known))),
            });
        }
        for (change, count) in [("added", entry.added), ("removed", entry.removed)] {
            report.samples.push(Sample {
                family: &MODEL_CHANGES,
                labels: vec![change.into()],
                value: count as f64,
            });
        }
        // Different ids may look the same. Each series must be pushed only once.
        let mut labels = BTreeSet::new();
        for model in tracked {
            let label = crate::model::visible(model.id, MAX_LABEL_BYTES);
            if let Some(end) = model.end
                && labels.insert(label.clone())
            {
                report.samples.push(Sample {
                    family: &MODEL_SHUTDOWN,
                    labels: vec![label.into()],
                    value: end as f64,
                });
            }
        }
    }

    fn push_findings(
        &self,
        state: Option<KeyState>,
        tracked: &[Tracked<'_>],
        missing: &[&str],
        report: &mut Report,
    ) {
        let mut push = |subject: &str, state: &'static str, detail: String| {
            report.findings.push(Finding {
                subject: subject.to_owned(),
                state,
                detail,
                fix: None,
            });
        };
        if let Some(state) = state {
            let age = self.entry.age(self.now).map(DurationText);
            let age = age.map_or("no response about the key yet".to_owned(), |age| {
                format!("last response about the key {age} ago")
            });
            let detail = format!("{}; {age}; {} models", meaning(state), self.entry.models.len());
            push(self.settings.connection.api.as_str(), state.as_str(), detail);
        }
        for id in missing {
            push(id, "missing", "the provider does not list it".to_owned());
        }
        for model in tracked {
            match model.end {
                Some(end) if end <= self.now => push(model.id, "ended", format!("it ended on {}", day(end))),
                Some(end) if end - self.now <= ENDS_SOON_SECONDS => {
                    let days = (end - self.now) / SECONDS_PER_DAY;
                    push(
                        model.id,
                        "ending",
                        format!("it ends on {}, in {days} days", day(end)),
                    );
                }
                None if model.listed.is_some_and(|listed| listed.model.is_deprecated) => {
                    push(
                        model.id,
                        "deprecated",
                        "the provider advises against it, without a date".to_owned(),
                    );
                }
                _ => {}
            }
        }
    }
}

/// The longest id of a model in a label, in bytes: that of the configuration.
const MAX_LABEL_BYTES: usize = 256;

fn day(time: i64) -> String {
    Timestamp::from_second(time)
        .map_or_else(|_| time.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}

const fn meaning(state: KeyState) -> &'static str {
    match state {
        KeyState::Valid => "the provider accepts the key",
        KeyState::NotProven => {
            "the provider lists its models to every key, so the key is neither valid nor invalid"
        }
        KeyState::NoKey => "the provider responds without a key",
        KeyState::Invalid => "the provider rejects the key",
        KeyState::NoPermission => "the key is not allowed to list models",
        KeyState::QuotaSpent => "credits or spend limit are used up",
        KeyState::RateLimited => "the provider limits the rate of requests",
        KeyState::Unavailable => "the provider can't be reached or has an outage",
        KeyState::Unexpected => "the response is not one of the provider's API",
    }
}
