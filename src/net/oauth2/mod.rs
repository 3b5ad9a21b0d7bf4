//! Tokens that authorization servers grant for the credentials of a client (RFC 6749, section 4.4). All runs of checks and modules
//! with equal settings share a token until shortly before it ends. One run at a time requests a new one.

mod client;
mod grant;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;

pub use self::client::TokenClient;
use crate::config::http::OAuth2Settings;
use crate::config::secret::Secret;
use crate::model::{Clock, Moment, Problem, SystemClock, UsedSecrets};

/// How long before its end a token is replaced, so that it does not end on its way; the same as in Go's client. Half of a shorter
/// lifetime.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a token without a stated lifetime is used.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// How long a rejected token that replaced another rejected one is kept. A target that rejects every token must not make each run
/// request one: many servers limit or charge for that.
const MIN_BETWEEN_REJECTIONS: Duration = Duration::from_secs(60);

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The value of the header `Authorization`.
    pub header: HeaderValue,
    /// The token itself.
    text: Secret,
    /// The secret of the client when the token was requested. A token of an older secret is not used.
    client_secret: Option<Secret>,
    ends: Moment,
}

/// The tokens of all checks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<Mutex<Vec<Shared>>>);

#[derive(Debug)]
struct Shared {
    settings: Arc<OAuth2Settings>,
    token: Arc<SharedToken>,
}

impl Tokens {
    /// The shared token for these settings. Forgets tokens that ended and that nothing uses, such as those of removed checks.
    pub fn get(&self, settings: &Arc<OAuth2Settings>) -> Arc<SharedToken> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|shared| shared.settings == *settings) {
            return known.token.clone();
        }
        all.retain(|shared| Arc::strong_count(&shared.token) > 1 || shared.token.is_valid());
        let token = Arc::new(SharedToken::default());
        all.push(Shared {
            settings: settings.clone(),
            token: token.clone(),
        });
        token
    }
}

/// A token that runs share.
#[derive(Debug, Default)]
pub struct SharedToken {
    clock: SystemClock,
    current: Mutex<Option<Token>>,
    /// When a server last rejected the token.
    rejected: Mutex<Option<Moment>>,
    failures: AtomicU64,
    /// Locked while a token is requested. The last failure.
    requesting: tokio::sync::Mutex<Option<Failure>>,
}

/// Why a run got no token.
#[derive(Debug)]
struct Failure {
    number: u64,
    problem: Problem,
    /// The secrets of that run. The server may have returned one of them, and not every run that gets the problem uses it.
    secrets: UsedSecrets,
}

impl SharedToken {
    /// Returns the current token. Awaits `request` for a new one if there is none.
    ///
    /// # Errors
    /// Why there is no token. If the request of another run failed while this one waited for it, the same problem.
    pub async fn get(
        &self,
        client_secret: Option<&Secret>,
        request: impl Future<Output = Result<Granted, Problem>>,
    ) -> Result<Token, Problem> {
        if let Some(token) = self.valid(client_secret) {
            return Ok(token);
        }
        let known_failures = self.failures.load(Ordering::SeqCst);
        let mut last_failure = self.requesting.lock().await;
        if let Some(token) = self.valid(client_secret) {
            return Ok(token);
        }
        if let Some(failure) = &*last_failure
            && failure.number > known_failures
        {
            UsedSecrets::record_all(&failure.secrets);
            return Err(failure.problem.clone());
        }
        match request.await {
            Ok(granted) => {
                let token = Token {
                    header: granted.header,
                    text: granted.text,
                    client_secret: client_secret.cloned(),
                    ends: self.clock.now() + usable(granted.lifetime),
                };
                *self.lock() = Some(token.clone());
                Ok(token)
            }
            Err(problem) => {
                let number = self.failures.fetch_add(1, Ordering::SeqCst) + 1;
                *last_failure = Some(Failure {
                    number,
                    problem: problem.clone(),
                    secrets: UsedSecrets::current(),
                });
                Err(problem)
            }
        }
    }

    /// Whether there is a token that was granted for this secret.
    pub fn has(&self, client_secret: Option<&Secret>) -> bool {
        self.valid(client_secret).is_some()
    }

    /// Forgets a token that a server rejected, unless it was replaced already, or replaced another rejected one recently.
    pub fn discard(&self, token: &Token) {
        let now = self.clock.now();
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if rejected.is_some_and(|at| now < at + MIN_BETWEEN_REJECTIONS) {
            return;
        }
        if self
            .lock()
            .take_if(|current| current.text == token.text)
            .is_some()
        {
            *rejected = Some(now);
        }
    }

    fn valid(&self, client_secret: Option<&Secret>) -> Option<Token> {
        let now = self.clock.now();
        let token = self.lock().clone();
        token.filter(|token| now < token.ends && token.client_secret.as_ref() == client_secret)
    }

    fn is_valid(&self) -> bool {
        let now = self.clock.now();
        self.lock().as_ref().is_some_and(|token| now < token.ends)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token as the server granted it.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The value of the header `Authorization`.
    pub header: HeaderValue,
    /// The token itself.
    pub text: Secret,
    /// For how long it is valid, if stated.
    pub lifetime: Option<Duration>,
}

/// How long a token is used.
fn usable(lifetime: Option<Duration>) -> Duration {
    match lifetime {
        None => DEFAULT_LIFETIME,
        Some(lifetime) => lifetime.saturating_sub(MARGIN).max(lifetime / 2),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::model::Reason;

    fn granted(text: &str, lifetime: Option<Duration>) -> Granted {
        Granted {
            header: HeaderValue::from_str(text).unwrap(),
            text: Secret::new(text),
            lifetime,
        }
    }

    async fn get(shared: &SharedToken, secret: &str, next: &str, lifetime: Option<Duration>) -> String {
        let secret = Secret::new(secret);
        let token = shared.get(Some(&secret), async { Ok(granted(next, lifetime)) });
        token.await.unwrap().text.unhidden().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_reused_until_it_ends_is_rejected_or_the_secret_changes() {
        let shared = SharedToken::default();
        assert_eq!(get(&shared, "s", "one", None).await, "one");
        assert_eq!(get(&shared, "s", "two", None).await, "one");
        assert_eq!(get(&shared, "changed", "two", None).await, "two");
        let token = shared.valid(Some(&Secret::new("changed"))).unwrap();
        shared.discard(&token);
        assert_eq!(
            get(&shared, "changed", "three", Some(Duration::ZERO)).await,
            "three"
        );
        // It was replaced already.
        shared.discard(&token);
        assert_eq!(get(&shared, "changed", "four", None).await, "four");
        // A server that rejects every token causes one request a minute.
        let token = shared.valid(Some(&Secret::new("changed"))).unwrap();
        shared.discard(&token);
        assert_eq!(get(&shared, "changed", "five", None).await, "four");
        assert_eq!(usable(Some(Duration::from_secs(3600))), Duration::from_secs(3590));
        assert_eq!(usable(Some(Duration::from_secs(10))), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn one_run_at_a_time_requests_a_token() {
        let (shared, requests) = (SharedToken::default(), AtomicUsize::new(0));
        let request = |result: Result<Granted, Problem>| {
            let requests = &requests;
            async move {
                requests.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                result
            }
        };
        let failed = || Err(Problem::new(Reason::Auth, "no"));
        let get = |result| shared.get(None, request(result));
        let (one, two, three) = tokio::join!(get(failed()), get(failed()), get(failed()));
        for result in [one, two, three] {
            assert_eq!(result.unwrap_err().message(), "no");
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        let fine = || Ok(granted("t", None));
        let (one, two) = tokio::join!(get(fine()), get(fine()));
        assert_eq!(one.unwrap().header, two.unwrap().header);
        assert_eq!(requests.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn equal_settings_share_a_token_and_unused_ones_are_forgotten() {
        let settings = |id: &str| {
            let (token_url, _) = crate::config::http::TargetUrl::parse("http://login.test/").unwrap();
            Arc::new(OAuth2Settings {
                client_id: id.to_owned(),
                client_secret: None,
                token_url,
                parameters: std::collections::BTreeMap::default(),
                tls: crate::config::tls::TlsSettings::default(),
                proxy: None,
            })
        };
        let tokens = Tokens::default();
        let one = tokens.get(&settings("a"));
        assert!(Arc::ptr_eq(&one, &tokens.get(&settings("a"))));
        assert!(!Arc::ptr_eq(&one, &tokens.get(&settings("b"))));
        drop(one);
        tokens.get(&settings("c"));
        assert_eq!(tokens.0.lock().unwrap().len(), 1);
    }
}
