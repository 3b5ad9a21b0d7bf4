//! What stands before every page: the host that is asked for, the rate of requests, users, and the header fields that the web
//! configuration adds.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustix::process::{Resource, getrlimit};

use super::auth::Authenticator;
use super::auth_error::AuthError;
use super::body::{Answering, ResponseBody};
use super::protocol::Client;
use super::query::quoted;
use super::reply::Reply;
use super::throttle::Peer;
use super::watched_config::{InUse, WebConfig};
use super::{State, api, routes};
use crate::log_throttle::LogThrottle;

/// The most connections of one listener. One more, and one of the client that has most is closed.
pub const MAX_CONNECTIONS: usize = 512;
/// The least, whatever the limit of descriptors is: a scraper, a browser and some more.
const MIN_CONNECTIONS: usize = 8;
/// The part of all descriptors that connections of clients may take: one in this many. The others are left for checks.
const CLIENT_PART: u64 = 4;

/// How many connections each of `listeners` may have in a process that may have `limit` descriptors.
fn most_connections(limit: Option<u64>, listeners: usize) -> usize {
    let all = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / CLIENT_PART).unwrap_or(usize::MAX)
    });
    (all / listeners).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// What stands before every page, on every listener.
#[derive(Debug)]
pub struct AuthLayer {
    config: Arc<WebConfig>,
    authenticator: Arc<Authenticator>,
    wrong_passwords: LogThrottle,
    /// How many listeners share the descriptors of the process.
    listeners: usize,
    wrong_hosts: LogThrottle,
}

impl AuthLayer {
    /// Does what `config` says.
    pub fn new(config: Arc<WebConfig>) -> Arc<Self> {
        Self::of_several(config, 1)
    }

    /// Does what `config` says on each of so many listeners.
    pub fn of_several(config: Arc<WebConfig>, listeners: usize) -> Arc<Self> {
        Arc::new(Self {
            listeners: listeners.max(1),
            config,
            authenticator: Authenticator::new(),
            wrong_passwords: LogThrottle::default(),
            wrong_hosts: LogThrottle::default(),
        })
    }

    /// How many connections one listener may have.
    pub(super) fn most_connections(&self) -> usize {
        most_connections(getrlimit(Resource::Nofile).current, self.listeners)
    }

    /// The settings of the moment.
    pub(super) fn in_use(&self) -> Arc<InUse> {
        self.config.in_use()
    }

    /// Answers a request of `client`, or says why not.
    pub(super) async fn answer(
        self: Arc<Self>,
        client: Client,
        state: Arc<State>,
        request: Request<Incoming>,
        answering: Answering,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let in_use = self.in_use();
        let is_tls = in_use.settings.tls.is_some();
        let own = || client.socket.own_address();
        let mut response = match state.allowed_hosts.check(&request, is_tls, own) {
            Err(host) => self
                .misdirected(&host, client.peer, &request)
                .into_response(answering),
            Ok(()) => match self.admit(&in_use, client.peer, &request).await {
                Ok(()) => routes::answer(state, request, answering).await?,
                Err(refusal) => {
                    self.config.refused.count(refusal);
                    self.tell(refusal, client.peer, &request);
                    refusal.into_response(request.uri().path(), answering)
                }
            },
        };
        for (name, value) in &in_use.settings.http.headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok(response)
    }

    /// Refuses a request for a host that is not this one (RFC 9110, section 15.5.20), and logs it: somebody may have forgotten a
    /// name of it.
    fn misdirected(&self, host: &str, peer: Peer, request: &Request<Incoming>) -> Reply {
        if let Some(more) = self.wrong_hosts.allow() {
            let host = quoted(host);
            tracing::warn!(client = %peer, host, more, "refused a request for a host that --web.allowed-hosts does not list");
        }
        let text =
            "the exporter is not served by this name: start it with --web.allowed-hosts=NAME if it should be";
        api::error(request.uri().path(), StatusCode::MISDIRECTED_REQUEST, text)
    }

    /// Logs wrong passwords: somebody guesses, or a scraper has an old one.
    fn tell(&self, refusal: AuthError, peer: Peer, request: &Request<Incoming>) {
        let is_login = match refusal {
            AuthError::Unauthorized => request.headers().contains_key(AUTHORIZATION),
            AuthError::TooMany(_) => true,
            AuthError::TooFast(_) | AuthError::Busy => false,
        };
        if let (true, Some(more)) = (is_login, self.wrong_passwords.allow()) {
            tracing::warn!(client = %peer, more, "refused a wrong user or password");
        }
    }

    async fn admit(&self, in_use: &InUse, peer: Peer, request: &Request<Incoming>) -> Result<(), AuthError> {
        if let Some(rate) = in_use.settings.rate_limit {
            let mut requests = in_use.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.take(rate).map_err(AuthError::TooFast)?;
        }
        self.authenticator
            .admit(&in_use.users, peer, request.headers())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_part_of_the_descriptors() {
        for (limit, listeners, most) in [
            (Some(64), 1, 16),
            (Some(128), 1, 32),
            (Some(128), 2, 16),
            (Some(16), 1, MIN_CONNECTIONS),
            (Some(1024), 1, 256),
            (Some(1 << 20), 4, MAX_CONNECTIONS),
            (None, 1, MAX_CONNECTIONS),
        ] {
            assert_eq!(most_connections(limit, listeners), most, "{limit:?}, {listeners}");
        }
    }
}
