//! Basic authentication (RFC 7617). Checking a password is made to be slow, so it is done for few at once, off the
//! runtime's workers, and once: requests that bear the same wait for one check, what was right is remembered, what is wrong
//! is held against the client's address.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::config::{PasswordHash, Rate};
use super::refusal::Refusal;
use super::throttle::{Peer, Throttle};

/// How many passwords are checked at once.
const MAX_CHECKS: usize = 2;
/// How many more wait for their turn.
const MAX_WAITING: usize = 16;
/// How many wrong passwords an address may try at once, and how long it waits for another attempt.
const FAILURES: Rate = Rate {
    interval: Duration::from_secs(6),
    burst: 10,
};
/// Of how many addresses failures are remembered.
const MAX_ORIGINS: usize = 4096;

/// The users of one web configuration, and what is known of their passwords.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, PasswordHash>,
    /// Of each user that has logged in, a keyed hash of the right password: there is one for each at most.
    proven: Mutex<HashMap<String, hmac::Tag>>,
}

impl Users {
    /// The users of `hashes`; what was proven to `before` holds as long as the hash is the same one.
    pub fn new(hashes: BTreeMap<String, PasswordHash>, before: Option<&Self>) -> Arc<Self> {
        let proven = before.map(|before| {
            let proven = before.proven.lock().unwrap_or_else(PoisonError::into_inner);
            // The tag of another hash would never fit: see `message`.
            let kept = proven.iter().filter(|(user, _)| hashes.contains_key(*user));
            kept.map(|(user, tag)| (user.clone(), *tag)).collect()
        });
        Arc::new(Self {
            hashes,
            proven: Mutex::new(proven.unwrap_or_default()),
        })
    }
}

/// Who asks.
struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl Credentials {
    /// What the header fields bear; the scheme's name is in any case (RFC 9110, section 11.1).
    fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let password = decoded.split_off(colon + 1);
        decoded.truncate(colon);
        Some(Self {
            user: String::from_utf8(decoded).ok()?,
            password,
        })
    }
}

/// The user that the header fields name.
pub(super) fn user(headers: &HeaderMap) -> Option<String> {
    Credentials::read(headers).map(|credentials| credentials.user)
}

/// Checks users and passwords. One for all connections, whatever the configuration is.
#[derive(Debug)]
pub(super) struct Authenticator {
    /// Of this process only: what is remembered is of no use elsewhere.
    key: hmac::Key,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What is being checked, by a keyed hash of it, with where its result will be; there are as many as may wait at most.
    asked: Mutex<HashMap<Vec<u8>, watch::Receiver<Option<bool>>>>,
    failures: Throttle,
    /// How many passwords were checked the slow way.
    checked: AtomicU64,
}

impl Authenticator {
    /// # Panics
    /// Where the system has no random numbers; nothing that needs TLS could go on then.
    pub fn new() -> Arc<Self> {
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        // The TLS library's own generator takes a tenth of a second to gather entropy at its first use.
        getrandom::fill(&mut key).expect("the system has random numbers");
        Arc::new(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            running: Arc::new(Semaphore::new(MAX_CHECKS)),
            waiting: Arc::new(Semaphore::new(MAX_CHECKS + MAX_WAITING)),
            asked: Mutex::default(),
            failures: Throttle::new(FAILURES, MAX_ORIGINS),
            checked: AtomicU64::new(0),
        })
    }

    /// Whether a request with these header fields is of one of `users`.
    pub async fn admit(
        self: &Arc<Self>,
        users: &Arc<Users>,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if users.hashes.is_empty() {
            return Ok(());
        }
        let credentials = Credentials::read(headers).ok_or(Refusal::Unauthorized)?;
        // Before anything that can be refused: nobody else's attempts keep a known client out.
        if self.is_proven(users, &credentials) {
            return Ok(());
        }
        let mut result = self.ask(users, peer, credentials)?;
        match result.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(true)) => Ok(()),
            _ => Err(Refusal::Unauthorized),
        }
    }

    /// Has credentials checked, unless they are being checked already, and says where the result will be.
    fn ask(
        self: &Arc<Self>,
        users: &Arc<Users>,
        peer: Peer,
        credentials: Credentials,
    ) -> Result<watch::Receiver<Option<bool>>, Refusal> {
        let hash = users.hashes.get(&credentials.user);
        let mut question = message(hash, &credentials);
        question.extend_from_slice(credentials.user.as_bytes());
        question.extend_from_slice(&credentials.user.len().to_le_bytes());
        let question = hmac::sign(&self.key, &question).as_ref().to_vec();

        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = asked.get(&question) {
            return Ok(result.clone());
        }
        // Taken beforehand, and given back where the password is right, so that attempts at once are counted too.
        self.failures.take(peer).map_err(Refusal::TooMany)?;
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            self.failures.give_back(peer);
            return Err(Refusal::Busy);
        };
        let (sender, result) = watch::channel(None);
        asked.insert(question.clone(), result.clone());
        let check = Check {
            authenticator: Arc::clone(self),
            question,
            _place: place,
        };
        // A task of its own: the client that began it may go, others wait for it too.
        tokio::spawn(check.run(Arc::clone(users), peer, credentials, sender));
        Ok(result)
    }

    fn is_proven(&self, users: &Users, credentials: &Credentials) -> bool {
        let Some(hash) = users.hashes.get(&credentials.user) else {
            return false;
        };
        let proven = users.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tag) = proven.get(&credentials.user) else {
            return false;
        };
        // The comparison takes the same time for any password.
        hmac::verify(&self.key, &message(Some(hash), credentials), tag.as_ref()).is_ok()
    }

    /// Checks a password the slow way. For a user that there is not, it is checked against the hash of one that there is,
    /// always the same one, so that the time tells nothing.
    fn check(&self, users: &Users, credentials: &Credentials) -> bool {
        let known = users.hashes.get(&credentials.user);
        let Some(hash) = known.or_else(|| self.stand_in(users, &credentials.user)) else {
            return false;
        };
        self.checked.fetch_add(1, Ordering::Relaxed);
        let is_right = hash.is_of(&credentials.password) && known.is_some();
        if is_right {
            let tag = hmac::sign(&self.key, &message(Some(hash), credentials));
            let mut proven = users.proven.lock().unwrap_or_else(PoisonError::into_inner);
            proven.insert(credentials.user.clone(), tag);
        }
        is_right
    }

    fn stand_in<'a>(&self, users: &'a Users, user: &str) -> Option<&'a PasswordHash> {
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

/// A check under way. It is no longer asked for when this is dropped, whatever came of it.
struct Check {
    authenticator: Arc<Authenticator>,
    question: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Check {
    async fn run(
        self,
        users: Arc<Users>,
        peer: Peer,
        credentials: Credentials,
        sender: watch::Sender<Option<bool>>,
    ) {
        let own = &self.authenticator;
        let Ok(turn) = Arc::clone(&own.running).acquire_owned().await else {
            return;
        };
        let checking = Arc::clone(own);
        let check = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the work.
            let _turn = turn;
            checking.check(&users, &credentials)
        });
        let is_right = check.await.unwrap_or(false);
        if is_right {
            own.failures.give_back(peer);
        }
        sender.send_replace(Some(is_right));
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let asked = &self.authenticator.asked;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(&self.question);
    }
}

/// What is remembered of a right password. No hash holds a zero byte, so the parts can't run into one another.
fn message(hash: Option<&PasswordHash>, credentials: &Credentials) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    if let Some(hash) = hash {
        message.extend_from_slice(hash.expose().as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&credentials.password);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::config::{Files, parse_bytes};

    /// Users `alice` and `bob`, whose passwords are `wonderland` and `builder`.
    fn users() -> Arc<Users> {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        let text = format!(
            "basic_auth_users: {{alice: {}, bob: {}}}",
            hash("wonderland"),
            hash("builder")
        );
        let none = |_: &std::path::Path| unreachable!("no file is named");
        let files = Files::new("".as_ref(), &none);
        Users::new(
            parse_bytes(text.as_bytes(), "web.yml", &files).unwrap().users,
            None,
        )
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        header(&format!("Basic {encoded}"))
    }

    fn header(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    fn checked(authenticator: &Authenticator) -> u64 {
        authenticator.checked.load(Ordering::Relaxed)
    }

    fn ip(number: u8) -> Peer {
        Peer::Ip([192, 0, 2, number].into())
    }

    #[tokio::test]
    async fn the_right_password_is_checked_once() {
        let (authenticator, users) = (Authenticator::new(), users());
        for _ in 0..100 {
            let admitted = authenticator
                .admit(&users, ip(1), &basic("alice", "wonderland"))
                .await;
            assert_eq!(admitted, Ok(()));
        }
        assert_eq!(checked(&authenticator), 1);
        // A file that was read again changes nothing, and users with other hashes are asked anew.
        let again = Users::new(users.hashes.clone(), Some(&users));
        let admitted = authenticator
            .admit(&again, ip(1), &basic("alice", "wonderland"))
            .await;
        assert_eq!((admitted, checked(&authenticator)), (Ok(()), 1));
        let other = Users::new(self::users().hashes.clone(), Some(&users));
        let admitted = authenticator
            .admit(&other, ip(1), &basic("alice", "wonderland"))
            .await;
        assert_eq!((admitted, checked(&authenticator)), (Ok(()), 2));
    }

    #[tokio::test]
    async fn an_unknown_user_takes_the_same_way_as_a_known_one() {
        let (authenticator, users) = (Authenticator::new(), users());
        let refused = Err(Refusal::Unauthorized);
        for (round, user) in ["alice", "nobody", "", "alice\u{e9}"].into_iter().enumerate() {
            let admitted = authenticator.admit(&users, ip(1), &basic(user, "wrong")).await;
            assert_eq!(
                (admitted, checked(&authenticator)),
                (refused, round as u64 + 1),
                "{user}"
            );
        }
        // Not even with the password of the user that stands in.
        for password in ["wonderland", "builder"] {
            let admitted = authenticator
                .admit(&users, ip(2), &basic("nobody", password))
                .await;
            assert_eq!(admitted, refused);
        }
        assert!(users.proven.lock().unwrap().is_empty());
        // Nor does a proven user's name help with another's password.
        authenticator
            .admit(&users, ip(3), &basic("bob", "builder"))
            .await
            .unwrap();
        let admitted = authenticator
            .admit(&users, ip(3), &basic("alice", "builder"))
            .await;
        assert_eq!(admitted, refused);
    }

    #[tokio::test]
    async fn what_is_no_basic_authentication_costs_nothing() {
        let (authenticator, users) = (Authenticator::new(), users());
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Bearer YTpi",
            "Basic YWxpY2U=",
            "Basic /zpi",
        ] {
            let admitted = authenticator.admit(&users, ip(1), &header(value)).await;
            assert_eq!(admitted, Err(Refusal::Unauthorized), "{value}");
        }
        let admitted = authenticator.admit(&users, ip(1), &HeaderMap::new()).await;
        assert_eq!(
            (admitted, checked(&authenticator)),
            (Err(Refusal::Unauthorized), 0)
        );
        let encoded = BASE64_STANDARD.encode("bob:builder");
        let admitted = authenticator
            .admit(&users, ip(1), &header(&format!("bAsIc  {encoded}")))
            .await;
        assert_eq!(admitted, Ok(()));
    }

    #[tokio::test]
    async fn who_tries_passwords_is_stopped_and_nobody_else() {
        let (authenticator, users) = (Authenticator::new(), users());
        authenticator
            .admit(&users, ip(1), &basic("bob", "builder"))
            .await
            .unwrap();
        for attempt in 0..FAILURES.burst {
            let admitted = authenticator
                .admit(&users, ip(1), &basic("alice", &attempt.to_string()))
                .await;
            assert_eq!(admitted, Err(Refusal::Unauthorized));
        }
        let before = checked(&authenticator);
        let refused = authenticator
            .admit(&users, ip(1), &basic("alice", "wonderland"))
            .await;
        assert!(matches!(refused, Err(Refusal::TooMany(wait)) if wait <= FAILURES.interval));
        assert_eq!(checked(&authenticator), before);
        assert_eq!(
            authenticator.admit(&users, ip(1), &basic("bob", "builder")).await,
            Ok(())
        );
        assert_eq!(
            authenticator
                .admit(&users, ip(2), &basic("alice", "wonderland"))
                .await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn few_passwords_are_checked_at_once_and_few_wait() {
        let (authenticator, users) = (Authenticator::new(), users());
        let turns = Arc::clone(&authenticator.running)
            .acquire_many_owned(2)
            .await
            .unwrap();
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..50 {
            let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
            attempts.spawn(async move {
                let wrong = number.to_string();
                authenticator
                    .admit(&users, ip(number), &basic("alice", &wrong))
                    .await
            });
        }
        let mut busy = 0;
        while busy < 50 - MAX_CHECKS - MAX_WAITING {
            assert_eq!(attempts.join_next().await.unwrap().unwrap(), Err(Refusal::Busy));
            busy += 1;
        }
        assert_eq!(checked(&authenticator), 0);
        drop(turns);
        let rest = attempts.join_all().await;
        assert_eq!(rest, vec![Err(Refusal::Unauthorized); MAX_CHECKS + MAX_WAITING]);
    }

    #[tokio::test]
    async fn requests_that_bear_the_same_wait_for_one_check() {
        for (password, expected) in [("wonderland", Ok(())), ("x", Err(Refusal::Unauthorized))] {
            let (authenticator, users) = (Authenticator::new(), users());
            let requests = (0..100).map(|_| {
                let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
                async move {
                    authenticator
                        .admit(&users, ip(1), &basic("alice", password))
                        .await
                }
            });
            let answers = futures_util::future::join_all(requests).await;
            assert_eq!(answers, vec![expected; 100], "{password}");
            assert_eq!(checked(&authenticator), 1, "{password}");
            assert!(authenticator.asked.lock().unwrap().is_empty());
        }
    }
}
