//! The provider check: whether the API key of a provider of models is good, and which models the provider offers.
//!
//! Providers count requests, so results are reused and survive a restart. A reused result is not new evidence: the verdict does not count
//! it again. Only endpoints that cost nothing are requested, never a completion.

mod assessment;
mod classify;
mod client;
mod dialect;
mod families;
mod pacing;
mod query;
mod refusal;

use std::time::Duration;

use jiff::Timestamp;

use self::assessment::Assessment;
use self::client::ClientFactory;
pub use self::families::FAMILIES;
use self::query::{Query, Refused};
use super::CheckContext;
use super::provider_results::{Entry, KeyState, ListChange, ResultCache};
use crate::config::duration::DurationText;
use crate::config::provider::{OnOutage, ProviderApi, ProviderSettings};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason, Report, Scrubber};
use crate::net::run_recorder::{RunRecorder, Step};
use crate::net::shortage;

/// The timeout of the requests of a run without a deadline.
const MAX_QUERY: Duration = Duration::from_secs(60);

/// How many models a log line names.
const MAX_LOGGED: usize = 10;

/// A provider check.
#[derive(Debug)]
pub struct ProviderCheck {
    settings: ProviderSettings,
    /// A description of the connection without secrets. An earlier result is reused only if it is equal.
    connection: String,
    factory: ClientFactory,
    cache: ResultCache,
    interval: Duration,
    recheck_interval: Duration,
    /// The time of the response that the last run used. `None` before the first run.
    used_response: Option<i64>,
}

impl ProviderCheck {
    /// A check with these settings.
    pub fn new(settings: &ProviderSettings, context: &CheckContext) -> Self {
        Self {
            connection: format!("{:?}", settings.connection),
            factory: ClientFactory::new(&settings.connection, &context.network),
            cache: context.provider_results.clone(),
            settings: settings.clone(),
            // Without a schedule, every run sends requests.
            interval: Duration::ZERO,
            recheck_interval: Duration::ZERO,
            used_response: None,
        }
    }

    /// Sets how long results are reused.
    pub fn set_schedule(&mut self, interval: Duration, recheck_interval: Duration) {
        self.interval = interval;
        self.recheck_interval = recheck_interval;
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        let key = self.read_key()?;
        self.cache.load().await?;
        let id = self.cache.id(&self.connection, key.as_ref().map(Secret::expose));
        let mut entry = self.cache.get(&id).unwrap_or_default();
        let now = Timestamp::now().as_second();
        let lifetimes = (self.good_lifetime(), self.recheck_interval);
        let mut is_reused = true;
        let refused = if entry.is_fresh(now, lifetimes, &self.settings.expected_models) {
            let age = DurationText(entry.age(now).unwrap_or_default());
            recorder
                .report
                .log_step(|| format!("using the response of {age} ago"));
            None
        } else if let Some(wait) = entry.wait(now) {
            recorder
                .report
                .log_step(|| "sending no request: the provider limits the rate".to_owned());
            self.waiting(&entry, wait, now)
        } else {
            is_reused = false;
            let refused = self.query(&mut entry, key.as_ref(), &mut recorder).await?;
            self.cache.put(id, entry.clone());
            refused
        };
        recorder.end();
        drop(recorder);
        // After a restart, it is not known whether a run has used the response. Another check with the same key may have sent the request.
        let used_response = self.used_response.replace(entry.answered);
        // An outage repeats a bad response about the key, because it does not make the key good.
        let is_outage = refused.as_ref().is_some_and(|refused| {
            refused.state == KeyState::Unavailable && refused.problem.shortage.is_none()
        });
        let repeats_failure = is_outage
            && self.settings.on_outage == OnOutage::Warning
            && entry.is_known(now)
            && entry.problem().is_some();
        report.is_repeated =
            (is_reused || repeats_failure) && used_response.is_none_or(|used| used == entry.answered);
        let now = Timestamp::now().as_second();
        report.next_run_after = entry.wait(now);
        let assessment = Assessment {
            settings: &self.settings,
            entry: &entry,
            refused,
            now,
        };
        assessment.record(report)
    }

    /// How long a good result is reused. The first run may follow a restart or a reload, which need no request. A later run that is not
    /// at its tick was requested, for example because a service that depends on the provider failed.
    fn good_lifetime(&self) -> Duration {
        match self.used_response {
            None => self.interval,
            Some(_) => self.interval.min(self.recheck_interval),
        }
    }

    /// Reads the current key.
    fn read_key(&self) -> Result<Option<Secret>, Problem> {
        let Some(source) = &self.settings.key else {
            return Ok(None);
        };
        let key = source
            .read_line()
            .map_err(|error| shortage::problem(Reason::Auth, &error, format_args!("the API key: {error}")))?;
        match key.expose().is_empty() {
            true => Err(Problem::new(
                Reason::Auth,
                "the API key is empty: write it to its source",
            )),
            false => Ok(Some(key)),
        }
    }

    /// The result while the provider wants no request. `None` if the last response about the key, which was a bad one, still applies.
    fn waiting(&self, entry: &Entry, wait: Duration, now: i64) -> Option<Refused> {
        let (target, wait) = (self.settings.target(), DurationText(wait));
        // An outage does not become a success because the provider asked to wait.
        if let Some(outage) = entry.outage() {
            let message = format_args!("{}; the next request is in {wait}", outage.message());
            return Some(Refused {
                state: KeyState::Unavailable,
                problem: outage.with_message(message),
            });
        }
        if entry.is_known(now) && entry.problem().is_some() {
            return None;
        }
        let message =
            format_args!("{target}: the provider limits the rate of requests; the next request is in {wait}");
        Some(Refused {
            state: KeyState::RateLimited,
            problem: Problem::new(Reason::Limit, message),
        })
    }

    /// Queries the provider and updates the entry. Returns why there is no list.
    async fn query(
        &mut self,
        entry: &mut Entry,
        key: Option<&Secret>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Option<Refused>, Problem> {
        let began = Timestamp::now().as_second();
        let client = self.factory.client(recorder)?;
        let connection = &self.settings.connection;
        let exposed = key.map(Secret::expose);
        let mut query = Query::new(&client, connection, key);
        let proves_list = self.is_list_doubtful() && entry.needs_key(began).is_none();
        let limit = recorder.within(MAX_QUERY);
        let result = tokio::time::timeout(limit, query.run(proves_list, recorder)).await;
        let mut answer = query.answer;
        let refused = match result {
            Ok(result) => result.err(),
            Err(_) => Some(Refused {
                state: KeyState::Unavailable,
                problem: timeout(limit, recorder.step()),
            }),
        };
        let now = Timestamp::now().as_second();
        let scrubber = exposed.map(|key| Scrubber::new([key].into_iter(), &self.settings.target()));
        if let Some(needs_key) = answer.needs_key {
            entry.proof = Some((needs_key, now));
        }
        if let Some(mut models) = answer.models.take() {
            if let Some(scrubber) = &scrubber {
                for text in models.iter_mut().flat_map(|listed| listed.texts()) {
                    *text = scrubber.scrub(text).into_owned();
                }
            }
            self.log_change(&entry.record_list(models, now));
        }
        entry.remaining = answer.remaining;
        let state = match &refused {
            Some(refused) => refused.state,
            None => self.accepted_state(key.is_some(), entry.needs_key(now)),
        };
        // A shortage of the exporter is no answer.
        let is_answer = refused
            .as_ref()
            .is_none_or(|refused| refused.problem.shortage.is_none());
        let mut wait = answer.wait.map_or(0, |wait| wait.as_secs());
        // Only a new response confirms that such a failure lasts.
        let is_failing = match state {
            KeyState::Unavailable => self.settings.on_outage == OnOutage::Failure,
            state => state == KeyState::Unexpected,
        };
        if is_failing {
            wait = wait.min(self.recheck_interval.as_secs());
        }
        entry.wait_until = match wait {
            0 => 0,
            wait => now.saturating_add_unsigned(wait),
        };
        let saved = |mut problem: Problem| {
            if let Some(scrubber) = &scrubber {
                problem.scrub(scrubber);
            }
            (problem.reason.to_string(), problem.message().to_owned())
        };
        entry.outage = match &refused {
            Some(refused) if wait > 0 && is_answer && state == KeyState::Unavailable => {
                Some(saved(refused.problem.clone()))
            }
            _ => None,
        };
        if !(state.is_lasting() && is_answer) {
            return Ok(refused);
        }
        entry.answered = now;
        entry.state = Some(state);
        entry.problem = refused.map(|refused| saved(refused.problem));
        Ok(None)
    }

    /// Whether the list of models may be open to everybody. The documentation of the hosted providers says that theirs needs a key.
    fn is_list_doubtful(&self) -> bool {
        let connection = &self.settings.connection;
        match connection.api {
            ProviderApi::HuggingFace | ProviderApi::OpenRouter => false,
            api => api.is_self_hosted() || !connection.base_url.is_default,
        }
    }

    /// The state after the provider sent its list.
    fn accepted_state(&self, has_key: bool, needs_key: Option<bool>) -> KeyState {
        match (has_key, self.is_list_doubtful(), needs_key) {
            (false, _, _) => KeyState::NoKey,
            (true, false, _) | (true, true, Some(true)) => KeyState::Valid,
            (true, true, _) => KeyState::NotProven,
        }
    }

    fn log_change(&self, change: &ListChange) {
        if *change == ListChange::default() {
            return;
        }
        let (provider, target) = (self.settings.connection.api.as_str(), self.settings.target());
        let named = |ids: &[String]| {
            let shown = ids
                .iter()
                .take(MAX_LOGGED)
                .map(|id| crate::model::visible(id, 100));
            shown.collect::<Vec<_>>().join(" ")
        };
        tracing::info!(
            provider, %target,
            added = change.added.len(), removed = change.removed.len(),
            added_models = named(&change.added), removed_models = named(&change.removed),
            "the list of models changed"
        );
    }
}

fn timeout(limit: Duration, step: &Step) -> Problem {
    let limit = DurationText(limit);
    Problem::new(
        Reason::Timeout,
        format_args!("timed out after {limit} while {step}"),
    )
}

/// Parses a page of a list and an error of each provider, as a run does. For tests with arbitrary input. Returns the number of models.
#[doc(hidden)]
pub fn fuzz_parse(status: u16, body: &[u8]) -> usize {
    let headers = http::HeaderMap::new();
    let mut count = 0;
    for api in ProviderApi::ALL {
        let refusal = refusal::Refusal::new(status, &headers, body);
        let state = classify::classify(api, &refusal);
        assert!(!state.is_accepted(), "an error is never a good key");
        if let Ok(value) = serde_json::from_slice(body) {
            let page = (dialect::of(api).parse)(&value);
            count += page.map_or(0, |page| page.models.len());
        }
    }
    if let Ok(value) = serde_json::from_slice(body) {
        let _ = (dialect::parse_key(&value), dialect::parse_model(&value));
    }
    count
}
