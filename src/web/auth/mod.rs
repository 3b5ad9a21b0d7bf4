//! Basic authentication (RFC 7617).
//!
//! A correct password is compared with its bcrypt hash once, and then remembered for its user and the client's address. Every
//! other attempt counts against the failure limit of its address before the password is compared with anything.

mod credentials;
mod password_checks;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use http::HeaderMap;

use super::auth_error::AuthError;
use super::config::{PasswordHash, Rate};
use super::peer::Peer;
use super::throttle::Throttle;
use credentials::Credentials;
use password_checks::{CheckResult, PasswordChecks, QueueFull};
pub(super) use users::Users;

/// How many wrong passwords an address may try at once, and how long it then waits for each further attempt.
const FAILURES: Rate = Rate {
    interval: Duration::from_secs(6),
    burst: 10,
};
/// The maximum number of addresses whose failures are stored.
const MAX_ORIGINS: usize = 4096;

/// One request's credentials, and their origin.
struct Attempt {
    credentials: Credentials,
    origin: Peer,
    /// A keyed hash of the password and the user's bcrypt hash.
    tag: hmac::Tag,
}

/// Returns the user that a request claims to be.
pub(super) fn user(headers: &HeaderMap) -> Option<String> {
    Credentials::parse(headers).map(|credentials| credentials.user)
}

/// Authenticates the requests of all connections. Survives reloads of the configuration.
#[derive(Debug)]
pub(super) struct Authenticator {
    /// Random per process, so that keyed hashes are useless outside of it.
    key: hmac::Key,
    checks: Arc<PasswordChecks>,
    failures: Throttle,
    /// How many passwords were compared with a bcrypt hash.
    comparisons: AtomicU64,
}

impl Authenticator {
    /// Creates an authenticator with a random key.
    ///
    /// # Panics
    /// When the system has no random numbers. TLS could not work then either.
    pub fn new() -> Arc<Self> {
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        // The TLS library's own generator takes a tenth of a second to gather entropy on first use.
        getrandom::fill(&mut key).expect("the system has random numbers");
        Arc::new(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            checks: PasswordChecks::new(),
            failures: Throttle::new(FAILURES, MAX_ORIGINS),
            comparisons: AtomicU64::new(0),
        })
    }

    /// Checks that a request with these header fields is from one of `users`. Without users, every request is.
    pub async fn authenticate(
        self: &Arc<Self>,
        users: &Arc<Users>,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Result<(), AuthError> {
        if users.hashes.is_empty() {
            return Ok(());
        }
        let credentials = Credentials::parse(headers).ok_or(AuthError::Unauthorized)?;
        let hash = users.hashes.get(&credentials.user);
        let attempt = Attempt {
            tag: hmac::sign(&self.key, &tag_input(hash, &credentials)),
            origin: peer.origin(),
            credentials,
        };
        // Comes before every limit, so that the attempts of others don't lock out a known client.
        if users.has_login(&attempt.credentials.user, attempt.origin, &attempt.tag) {
            return Ok(());
        }
        let mut result = self.submit(users, attempt)?;
        match result.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(true)) => Ok(()),
            _ => Err(AuthError::Unauthorized),
        }
    }

    /// Starts the check of an attempt, or joins the pending check of the same attempt.
    fn submit(self: &Arc<Self>, users: &Arc<Users>, attempt: Attempt) -> Result<CheckResult, AuthError> {
        let origin = attempt.origin;
        // Includes the origin: a client that guesses must not learn the result of another client's check for free.
        let key = format!(
            "{origin:?} {:?} {:?}",
            attempt.credentials.user,
            attempt.tag.as_ref()
        );
        let key = hmac::sign(&self.key, key.as_bytes()).as_ref().to_vec();

        let queue = self.checks.lock();
        if let Some(result) = queue.join(&key) {
            return Ok(result);
        }
        // Taken before the check and refunded if the password is correct, so that concurrent attempts count too.
        self.failures.take(origin).map_err(AuthError::TooManyFailures)?;
        // A known user at a new address does not wait behind clients that guess.
        if users.is_latest(&attempt.credentials.user, &attempt.tag) {
            self.failures.refund(origin);
            users.record_login(&attempt.credentials.user, origin, attempt.tag);
            return Ok(tokio::sync::watch::channel(Some(true)).1);
        }
        let (authenticator, users) = (Arc::clone(self), Arc::clone(users));
        let check = move || authenticator.check(&users, &attempt);
        queue.start(key, check).map_err(|QueueFull| {
            self.failures.refund(origin);
            AuthError::Busy
        })
    }

    /// Compares a password with the user's bcrypt hash. The password of an unknown user is compared with the hash of a known
    /// one, so that the time does not reveal which users exist.
    fn check(&self, users: &Users, attempt: &Attempt) -> bool {
        let user = &attempt.credentials.user;
        let known = users.hashes.get(user);
        let Some(hash) = known.or_else(|| self.substitute(users, user)) else {
            return false;
        };
        self.comparisons.fetch_add(1, Ordering::Relaxed);
        let is_correct = hash.matches(&attempt.credentials.password) && known.is_some();
        if is_correct {
            users.record_login(user, attempt.origin, attempt.tag);
            self.failures.refund(attempt.origin);
        }
        is_correct
    }

    /// Picks the hash to compare the password of an unknown user with: always the same one for the same name.
    fn substitute<'a>(&self, users: &'a Users, user: &str) -> Option<&'a PasswordHash> {
        let tag = hmac::sign(&self.key, user.as_bytes());
        let number = tag
            .as_ref()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let count = u64::try_from(users.hashes.len()).unwrap_or(u64::MAX);
        let position = number.checked_rem(count)?;
        users.hashes.values().nth(usize::try_from(position).ok()?)
    }
}

/// Returns the input of an attempt's tag. A bcrypt hash contains no zero byte, so the two parts stay apart.
fn tag_input(hash: Option<&PasswordHash>, credentials: &Credentials) -> Vec<u8> {
    let mut input = Vec::with_capacity(256);
    if let Some(hash) = hash {
        input.extend_from_slice(hash.expose().as_bytes());
    }
    input.push(0);
    input.extend_from_slice(&credentials.password);
    input
}
