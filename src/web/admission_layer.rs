//! Admits requests before they are routed: allowed hosts, rate limit, users. Adds the configured header fields to responses.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustix::process::{Resource, getrlimit};

use super::auth::Authenticator;
use super::auth_error::AuthError;
use super::body::{ResponseBody, ResponseInProgress};
use super::client::Client;
use super::error_reply::error_reply;
use super::heartbeat;
use super::peer::Peer;
use super::query::quote;
use super::reply::Reply;
use super::routes;
use super::state::State;
use super::watched_config::{ActiveConfig, WebConfig};
use crate::log_throttle::LogThrottle;

/// The maximum number of connections of one listener. Beyond that, a connection of the client with the most connections is
/// closed.
pub const MAX_CONNECTIONS: usize = 512;
/// The minimum, even if the descriptor limit is low: enough for a scraper, a browser and some more.
const MIN_CONNECTIONS: usize = 8;
/// Client connections may use the descriptor limit divided by this. The other descriptors are left for checks.
const CLIENT_DESCRIPTORS_DIVISOR: u64 = 4;

/// Returns how many connections each of `listeners` may have in a process with `limit` descriptors.
fn max_connections(limit: Option<u64>, listeners: usize) -> usize {
    let all = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / CLIENT_DESCRIPTORS_DIVISOR).unwrap_or(usize::MAX)
    });
    (all / listeners).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// Admits the requests of all listeners.
#[derive(Debug)]
pub struct AdmissionLayer {
    config: Arc<WebConfig>,
    authenticator: Arc<Authenticator>,
    /// How many listeners share the descriptors of the process.
    listeners: usize,
    login_log: LogThrottle,
    host_log: LogThrottle,
}

impl AdmissionLayer {
    /// Creates a layer for one listener.
    pub fn new(config: Arc<WebConfig>) -> Arc<Self> {
        Self::with_listeners(config, 1)
    }

    /// Creates a layer that `listeners` listeners share.
    pub fn with_listeners(config: Arc<WebConfig>, listeners: usize) -> Arc<Self> {
        Arc::new(Self {
            listeners: listeners.max(1),
            config,
            authenticator: Authenticator::new(),
            login_log: LogThrottle::default(),
            host_log: LogThrottle::default(),
        })
    }

    /// Returns how many connections one listener may have.
    pub(super) fn max_connections(&self) -> usize {
        max_connections(getrlimit(Resource::Nofile).current, self.listeners)
    }

    /// Returns the current settings.
    pub(super) fn active(&self) -> Arc<ActiveConfig> {
        self.config.active()
    }

    /// Handles a request of `client`, or refuses it.
    pub(super) async fn handle(
        self: Arc<Self>,
        client: Client,
        state: Arc<State>,
        request: Request<Incoming>,
        in_progress: ResponseInProgress,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let active = self.active();
        let is_tls = active.settings.tls.is_some();
        let local_address = || client.socket.local_address();
        let mut response = match state.allowed_hosts.check(&request, is_tls, local_address) {
            Err(host) => self
                .refuse_host(&host, client.peer, &request)
                .into_response(in_progress),
            Ok(()) => match self.admit(&active, client.peer, &request).await {
                Ok(()) => routes::handle(state, request, in_progress).await?,
                Err(error) => {
                    self.config.refused.count(error);
                    self.log_failed_login(error, client.peer, &request);
                    error.into_response(request.uri().path(), in_progress)
                }
            },
        };
        for (name, value) in &active.settings.http.headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok(response)
    }

    /// Refuses a request for another host (RFC 9110, section 15.5.20). Logs it, since a name may be missing in the flag.
    fn refuse_host(&self, host: &str, peer: Peer, request: &Request<Incoming>) -> Reply {
        if let Some(suppressed) = self.host_log.allow() {
            let host = quote(host);
            tracing::warn!(client = %peer, host, suppressed, "refused a request for a host that is not in --web.allowed-hosts");
        }
        let text = "this host name is not allowed; to allow it, add it to --web.allowed-hosts";
        error_reply(request.uri().path(), StatusCode::MISDIRECTED_REQUEST, text)
    }

    /// Logs a failed login: somebody guesses, or a scraper has an outdated password.
    fn log_failed_login(&self, error: AuthError, peer: Peer, request: &Request<Incoming>) {
        let is_login = match error {
            AuthError::Unauthorized => request.headers().contains_key(AUTHORIZATION),
            AuthError::TooManyFailures(_) => true,
            AuthError::RateLimited(_) | AuthError::Busy => false,
        };
        if let (true, Some(suppressed)) = (is_login, self.login_log.allow()) {
            tracing::warn!(client = %peer, suppressed, "login failed: wrong user or password");
        }
    }

    async fn admit(
        &self,
        active: &ActiveConfig,
        peer: Peer,
        request: &Request<Incoming>,
    ) -> Result<(), AuthError> {
        if let Some(rate) = active.settings.rate_limit {
            let mut requests = active.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.take(rate).map_err(AuthError::RateLimited)?;
        }
        // The token in the path authorizes it.
        if heartbeat::is_beat(request.uri().path()) {
            return Ok(());
        }
        self.authenticator
            .authenticate(&active.users, peer, request.headers())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_part_of_the_descriptors() {
        for (limit, listeners, expected) in [
            (Some(64), 1, 16),
            (Some(128), 1, 32),
            (Some(128), 2, 16),
            (Some(16), 1, MIN_CONNECTIONS),
            (Some(1024), 1, 256),
            (Some(1 << 20), 4, MAX_CONNECTIONS),
            (None, 1, MAX_CONNECTIONS),
        ] {
            assert_eq!(
                max_connections(limit, listeners),
                expected,
                "{limit:?}, {listeners}"
            );
        }
    }
}
