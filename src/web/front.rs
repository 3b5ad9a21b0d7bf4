//! What stands before every page: the rate of requests, users, and the header fields that the web configuration adds.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, Response};
use hyper::body::Incoming;

use super::auth::Authenticator;
use super::body::{Answering, ResponseBody};
use super::refusal::Refusal;
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
                self.config.refused.count(refusal);
                self.tell(refusal, peer, &request);
                refusal.into_response(request.uri().path(), answering)
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
