//! Queries a provider: proves the key, and reads the list of models. Only endpoints that cost nothing are requested.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::classify::{classify, classify_problem, classify_response, meaning, other_response, reason};
use super::client::{Client, Response};
use super::dialect::{self, Dialect, KeyHeader};
use super::pacing;
use super::refusal::{Refusal, is_page};
use crate::check::provider_results::{KeyState, ListedModel, Remaining};
use crate::config::provider::{ProviderApi, ProviderConnection};
use crate::config::secret::Secret;
use crate::model::{MAX_MODELS, Problem, Reason};
use crate::net::run_recorder::RunRecorder;

/// The maximum number of pages of a list. With 1000 models a page, the longest lists have one.
const MAX_PAGES: usize = 20;

/// The maximum number of models of a list that are stored. It is more than a catalog has, so that expected models are found.
const MAX_LISTED: usize = 10 * MAX_MODELS;

/// The key that no provider accepts. A server that responds to it with its list has proven nothing about the real key.
const WRONG_KEY: &str = "upkeep-exporter-wrong-key";

/// The timeout of the request with the wrong key.
const WRONG_KEY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a provider responded.
#[derive(Debug, Default)]
pub struct Answer {
    /// The models, if they were read.
    pub models: Option<Vec<ListedModel>>,
    /// What the provider still allows.
    pub remaining: Remaining,
    /// How long the provider wants no further request.
    pub wait: Option<Duration>,
    /// Whether the list needs a key. `None` if that was not found out in this run.
    pub needs_key: Option<bool>,
}

/// Why there is no list of models.
#[derive(Debug)]
pub struct Refused {
    /// What it says about the key.
    pub state: KeyState,
    /// What went wrong.
    pub problem: Problem,
}

/// One conversation with a provider.
#[derive(Debug)]
pub struct Query<'a> {
    client: &'a Client,
    connection: &'a ProviderConnection,
    dialect: &'static Dialect,
    key: Option<&'a Secret>,
    /// What was learned so far. It is complete up to the request that failed.
    pub answer: Answer,
}

impl<'a> Query<'a> {
    /// A conversation with this key.
    pub fn new(client: &'a Client, connection: &'a ProviderConnection, key: Option<&'a Secret>) -> Self {
        Self {
            client,
            connection,
            dialect: dialect::of(connection.api),
            key,
            answer: Answer::default(),
        }
    }

    /// Sends the requests. If `proves_list`, finds out whether the list needs a key.
    ///
    /// # Errors
    /// Why the provider did not accept the key or sent no list.
    pub async fn run(&mut self, proves_list: bool, recorder: &mut RunRecorder<'_>) -> Result<(), Refused> {
        let key = self.key.map(Secret::expose);
        match self.connection.api {
            ProviderApi::HuggingFace => {
                let url = self.connection.base_url.endpoint(dialect::WHOAMI_PATH);
                let doing = "checking the token";
                let body = self.get(url, key, doing, recorder).await?;
                if !dialect::is_account(&body) {
                    return Err(self.not_expected(doing));
                }
                self.request_models(key, recorder).await
            }
            ProviderApi::OpenRouter => {
                let doing = "checking the key";
                let url = self.connection.base_url.endpoint(dialect::KEY_PATH);
                let body = self.get(url, key, doing, recorder).await?;
                let credits = dialect::parse_key(&body).ok_or_else(|| self.not_expected(doing))?;
                self.answer.remaining.credits = credits;
                // The list is public, so the key is not sent.
                self.list_models(None, recorder).await?;
                match credits {
                    Some(credits) if credits <= 0.0 => Err(self.refused(
                        KeyState::QuotaSpent,
                        Reason::Limit,
                        doing,
                        "the credit limit of the key is used up",
                    )),
                    _ => Ok(()),
                }
            }
            _ => {
                self.list_models(key, recorder).await?;
                if proves_list && key.is_some() {
                    self.try_wrong_key(recorder).await;
                }
                Ok(())
            }
        }
    }

    /// Reads all pages of the list.
    async fn list_models(
        &mut self,
        key: Option<&str>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Refused> {
        let doing = "listing the models";
        let mut models = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let body = self
                .get(self.page_url(token.as_deref()), key, doing, recorder)
                .await?;
            let page = (self.dialect.parse)(&body).ok_or_else(|| self.not_expected(doing))?;
            models.extend(page.models);
            models.truncate(MAX_LISTED);
            match page.next {
                // A longer list is truncated, because the catalog is.
                Some(next) if models.len() <= MAX_MODELS && Some(&next) != token.as_ref() => {
                    token = Some(next)
                }
                Some(_) if models.len() <= MAX_MODELS => {
                    let what = "a page of the list names itself as the next one";
                    return Err(self.refused(KeyState::Unexpected, Reason::Protocol, doing, what));
                }
                _ => {
                    self.answer.models = Some(models);
                    return Ok(());
                }
            }
        }
        let what = format_args!("the list has more than {MAX_PAGES} pages");
        Err(self.refused(KeyState::Unexpected, Reason::Limit, doing, what))
    }

    /// Requests each expected model. One that does not exist, or that the token may not see, is left out.
    async fn request_models(
        &mut self,
        key: Option<&str>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Refused> {
        let doing = "requesting a model";
        let mut models = Vec::new();
        let connection = self.connection;
        for id in &connection.requested_models {
            let url = connection.base_url.endpoint(&dialect::model_path(id));
            let response = self.send(url, key, doing, recorder).await?;
            let is_foreign = connection.is_hosted() && is_page(&response.body);
            if matches!(response.status, 401 | 403 | 404) && !is_foreign {
                continue;
            }
            if dialect::is_renamed(response.status, &response.headers, &connection.base_url) {
                models.push(dialect::renamed(id));
                continue;
            }
            let body = self.accept(&response, doing)?;
            models.push(dialect::parse_model(&body).ok_or_else(|| self.not_expected(doing))?);
        }
        self.answer.models = Some(models);
        Ok(())
    }

    /// Requests the list with a wrong key. A server that sends it has not checked the real key either. If there is no clear response, a
    /// later run tries again.
    async fn try_wrong_key(&mut self, recorder: &mut RunRecorder<'_>) {
        let doing = "checking that the list needs a key";
        let Ok(headers) = self.headers(Some(WRONG_KEY)) else {
            return;
        };
        let request = self.client.get(self.page_url(None), &headers, doing, recorder);
        // The list was read, so the run does not depend on this request.
        let Ok(Ok(response)) = tokio::time::timeout(WRONG_KEY_TIMEOUT, request).await else {
            return;
        };
        self.answer.needs_key = match response.status {
            200..=299 => Some(false),
            status => {
                let refusal = Refusal::new(status, &response.headers, &response.body);
                match classify(self.connection.api, &refusal) {
                    KeyState::Invalid | KeyState::NoPermission => Some(true),
                    // Some servers reject an unknown key as a bad request.
                    KeyState::Unexpected if status == 400 => Some(true),
                    _ => None,
                }
            }
        };
    }

    fn page_url(&self, token: Option<&str>) -> Url {
        let mut url = self.connection.base_url.endpoint(self.dialect.path);
        let parameters = self.dialect.query.iter().copied();
        let parameters: Vec<_> = parameters
            .chain(token.map(|token| (self.dialect.page_parameter, token)))
            .collect();
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }

    /// Sends a request and returns the JSON of a successful response.
    async fn get(
        &mut self,
        url: Url,
        key: Option<&str>,
        doing: &str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Value, Refused> {
        let response = self.send(url, key, doing, recorder).await?;
        self.accept(&response, doing)
    }

    async fn send(
        &mut self,
        url: Url,
        key: Option<&str>,
        doing: &str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Response, Refused> {
        let headers = self.headers(key).map_err(|problem| Refused {
            state: KeyState::Invalid,
            problem,
        })?;
        let response = self.client.get(url, &headers, doing, recorder).await;
        let response = response.map_err(|problem| Refused {
            state: classify_problem(self.connection, &problem),
            problem,
        })?;
        pacing::update(&mut self.answer.remaining, &response.headers);
        // What responds instead of the provider does not know when the provider wants a request.
        let is_foreign = response.status != 429
            && self.connection.is_hosted()
            && (matches!(response.status, 301 | 302 | 303 | 307 | 308) || is_page(&response.body));
        if !is_foreign {
            let wait = pacing::wait(&response.headers, Timestamp::now());
            self.answer.wait = self.answer.wait.max(wait);
        }
        Ok(response)
    }

    fn headers(&self, key: Option<&str>) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
        let mut headers = vec![(header::ACCEPT, HeaderValue::from_static("application/json"))];
        for (name, value) in self.dialect.headers {
            headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        for (name, value) in [
            ("openai-organization", &self.connection.organization),
            ("openai-project", &self.connection.project),
        ] {
            if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.push((HeaderName::from_static(name), value));
            }
        }
        let Some(key) = key else { return Ok(headers) };
        let (name, value) = match self.dialect.key_header {
            KeyHeader::Bearer => (header::AUTHORIZATION, format!("Bearer {key}")),
            KeyHeader::Plain(name) => (HeaderName::from_static(name), key.to_owned()),
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            let message = "the API key contains characters that are not valid in a header: copy it again";
            Problem::new(Reason::Auth, message)
        })?;
        value.set_sensitive(true);
        headers.push((name, value));
        Ok(headers)
    }

    /// The JSON of a successful response.
    fn accept(&self, response: &Response, doing: &str) -> Result<Value, Refused> {
        match response.status {
            200..=299 => response.json().ok_or_else(|| self.not_expected(doing)),
            301 | 302 | 303 | 307 | 308 => {
                let what = format_args!(
                    "status {}: redirects are not followed, because the other server would receive the key; {}",
                    response.status,
                    self.advice()
                );
                Err(self.refused(other_response(self.connection), Reason::Status, doing, what))
            }
            status => {
                let refusal = Refusal::new(status, &response.headers, &response.body);
                let state = classify_response(self.connection, &refusal);
                let is_foreign = refusal.is_page && status < 500 && state == other_response(self.connection);
                let what = match is_foreign {
                    true => format!("status {status} with a page of HTML; {}", self.advice()),
                    false => format!("{} ({})", meaning(state), refusal.describe()),
                };
                Err(self.refused(state, reason(state), doing, what))
            }
        }
    }

    fn not_expected(&self, doing: &str) -> Refused {
        let what = format_args!(
            "the response is not one of the API of {}: {}",
            self.connection.api.as_str(),
            self.advice()
        );
        self.refused(other_response(self.connection), Reason::Protocol, doing, what)
    }

    /// What to do about a response that is not one of the API.
    fn advice(&self) -> &'static str {
        match self.connection.is_hosted() {
            true => "check whether a proxy, a firewall or a login page responds instead of the provider",
            false => "check base_url",
        }
    }

    fn refused(&self, state: KeyState, reason: Reason, doing: &str, what: impl std::fmt::Display) -> Refused {
        let server = self.client.server();
        Refused {
            state,
            problem: Problem::new(reason, format_args!("{server}, {doing}: {what}")),
        }
    }
}
