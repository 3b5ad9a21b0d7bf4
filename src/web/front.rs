//! What stands before every page: the rate of requests, users, and the header fields that the web configuration adds.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::auth::{Authenticator, Refusal};
use super::body::{Answering, ResponseBody};
use super::reply::Reply;
use super::throttle::Peer;
use super::watched_config::{InUse, WebConfig};
use super::{State, routes};
use crate::seldom::Seldom;

/// What stands before every page, on every listener.
#[derive(Debug)]
pub struct Front {
    config: Arc<WebConfig>,
    authenticator: Arc<Authenticator>,
    wrong_passwords: Seldom,
}

impl Front {
    /// Does what `config` says.
    pub fn new(config: Arc<WebConfig>) -> Arc<Self> {
        Arc::new(Self {
            config,
            authenticator: Authenticator::new(),
            wrong_passwords: Seldom::default(),
        })
    }

    /// The settings of the moment.
    pub(super) fn in_use(&self) -> Arc<InUse> {
        self.config.in_use()
    }

    /// Answers a request of `peer`, or says why not.
    pub(super) async fn answer(
        self: Arc<Self>,
        peer: Peer,
        state: Arc<State>,
        request: Request<Incoming>,
        answering: Answering,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let in_use = self.in_use();
        let mut response = match self.admit(&in_use, peer, &request).await {
            Ok(()) => routes::answer(state, request, answering).await?,
            Err(refusal) => {
                self.tell(refusal, peer, &request);
                refusal.into_response(answering)
            }
        };
        for (name, value) in &in_use.settings.http.headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok(response)
    }

    /// Logs wrong passwords: somebody guesses, or a scraper has an old one.
    fn tell(&self, refusal: Refusal, peer: Peer, request: &Request<Incoming>) {
        let is_login = match refusal {
            Refusal::Unauthorized => request.headers().contains_key(AUTHORIZATION),
            Refusal::TooMany(_) => true,
            Refusal::TooFast(_) | Refusal::Busy => false,
        };
        if let (true, Some(more)) = (is_login, self.wrong_passwords.turn()) {
            tracing::warn!(client = %peer, more, "refused a wrong user or password");
        }
    }

    async fn admit(&self, in_use: &InUse, peer: Peer, request: &Request<Incoming>) -> Result<(), Refusal> {
        if let Some(rate) = in_use.settings.rate_limit {
            let mut requests = in_use.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.take(rate).map_err(Refusal::TooFast)?;
        }
        self.authenticator
            .admit(&in_use.users, peer, request.headers())
            .await
    }
}

impl Refusal {
    fn into_response(self, answering: Answering) -> Response<ResponseBody> {
        let (status, text) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "401 Unauthorized: a user and a password of the exporter's web configuration are needed\n",
            ),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "429 Too Many Requests: too many wrong passwords from this address; until Retry-After a right one is refused too\n",
            ),
            Self::TooFast(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "429 Too Many Requests: more requests than rate_limit of the web configuration allows\n",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "503 Service Unavailable: too many passwords are being checked\n",
            ),
        };
        let mut response = Reply::text(status, text).into_response(answering);
        let headers = response.headers_mut();
        let wait = match self {
            Self::Unauthorized => {
                let challenge = "Basic realm=\"upkeep_exporter\", charset=\"UTF-8\"";
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                return response;
            }
            Self::TooMany(wait) | Self::TooFast(wait) => wait,
            Self::Busy => Duration::from_secs(1),
        };
        // In whole seconds (RFC 9110, section 10.2.3), none of them too short.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        response
    }
}
