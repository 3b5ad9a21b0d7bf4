//! Basic authentication (RFC 7617). Checking a password is slow on purpose, so few are checked at once, off the runtime's
//! workers. A right password is remembered for its user and the address it came from. Every other attempt counts against the
//! limit of its address before the password is compared with anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::auth_error::AuthError;
use super::config::{PasswordHash, Rate};
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
/// Of how many addresses of a user it is remembered that they sent the right password; about 160 bytes each. Only right
/// passwords take a place, and only of their own user.
const MAX_PROVEN: usize = 1024;

/// The users of one web configuration, and what is known of their passwords.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, PasswordHash>,
    proven: Mutex<HashMap<String, Proven>>,
}

/// What is known of the password of a user that has logged in.
#[derive(Clone, Debug)]
struct Proven {
    /// A keyed hash of the right password that came last.
    latest: hmac::Tag,
    /// The origins of right passwords: a keyed hash of the password, and when it came last.
    origins: HashMap<Peer, (hmac::Tag, Instant)>,
}

impl Users {
    /// The users of `hashes`; what was proven to `before` holds as long as the hash is the same one.
    pub fn new(hashes: BTreeMap<String, PasswordHash>, before: Option<&Self>) -> Arc<Self> {
        let proven = before.map(|before| {
            let proven = before.proven.lock().unwrap_or_else(PoisonError::into_inner);
            let is_same = |user: &String| {
                let [old, new] = [&before.hashes, &hashes].map(|hashes| hashes.get(user));
                old.map(PasswordHash::expose) == new.map(PasswordHash::expose)
            };
            let kept = proven.iter().filter(|(user, _)| is_same(user));
            kept.map(|(user, known)| (user.clone(), known.clone())).collect()
        });
        Arc::new(Self {
            hashes,
            proven: Mutex::new(proven.unwrap_or_default()),
        })
    }

    /// Whether `origin` has already sent this password of `user`. The comparison takes the same time for any password.
    fn is_proven(&self, user: &str, origin: Peer, tag: &hmac::Tag) -> bool {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let known = proven
            .get_mut(user)
            .and_then(|known| known.origins.get_mut(&origin));
        let is_proven = known.as_ref().is_some_and(|(right, _)| is_equal(right, tag));
        if let (true, Some((_, last))) = (is_proven, known) {
            *last = Instant::now();
        }
        is_proven
    }

    /// Whether this is the password of `user` that was right last, wherever it came from.
    fn is_latest(&self, user: &str, tag: &hmac::Tag) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let known = proven.get(user);
        known.is_some_and(|known| is_equal(&known.latest, tag))
    }

    /// Remembers that `origin` sent a right password of `user`, in place of the origin that was silent longest where there
    /// are too many.
    fn remember(&self, user: &str, origin: Peer, tag: hmac::Tag) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let known = proven.entry(user.to_owned()).or_insert_with(|| Proven {
            latest: tag,
            origins: HashMap::new(),
        });
        known.latest = tag;
        let origins = &mut known.origins;
        if origins.len() >= MAX_PROVEN && !origins.contains_key(&origin) {
            let oldest = origins.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(origin, _)| *origin) {
                origins.remove(&oldest);
            }
        }
        origins.insert(origin, (tag, Instant::now()));
    }
}

fn is_equal(one: &hmac::Tag, other: &hmac::Tag) -> bool {
    constant_time::verify_slices_are_equal(one.as_ref(), other.as_ref()).is_ok()
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

/// One request's user and password, and where they come from.
struct Attempt {
    credentials: Credentials,
    origin: Peer,
    /// A keyed hash of the password and the user's hash.
    tag: hmac::Tag,
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
    ) -> Result<(), AuthError> {
        if users.hashes.is_empty() {
            return Ok(());
        }
        let credentials = Credentials::read(headers).ok_or(AuthError::Unauthorized)?;
        let hash = users.hashes.get(&credentials.user);
        let attempt = Attempt {
            tag: hmac::sign(&self.key, &message(hash, &credentials)),
            origin: peer.origin(),
            credentials,
        };
        // Before anything that can be refused: nobody else's attempts keep a known client out.
        if users.is_proven(&attempt.credentials.user, attempt.origin, &attempt.tag) {
            return Ok(());
        }
        let mut result = self.ask(users, attempt)?;
        match result.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(true)) => Ok(()),
            _ => Err(AuthError::Unauthorized),
        }
    }

    /// Has an attempt checked, unless the same one is being checked already, and says where the result will be.
    fn ask(
        self: &Arc<Self>,
        users: &Arc<Users>,
        attempt: Attempt,
    ) -> Result<watch::Receiver<Option<bool>>, AuthError> {
        // The origin is part of it: who guesses must not learn the result of another one's check for nothing.
        let question = format!(
            "{:?} {:?} {:?}",
            attempt.origin,
            attempt.credentials.user,
            attempt.tag.as_ref()
        );
        let question = hmac::sign(&self.key, question.as_bytes()).as_ref().to_vec();

        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = asked.get(&question) {
            return Ok(result.clone());
        }
        // Taken beforehand, and given back where the password is right, so that attempts at once are counted too.
        let origin = attempt.origin;
        self.failures.take(origin).map_err(AuthError::TooMany)?;
        // Where others know the password, a known user at a new address does not wait behind those who guess.
        if users.is_latest(&attempt.credentials.user, &attempt.tag) {
            self.failures.give_back(origin);
            users.remember(&attempt.credentials.user, origin, attempt.tag);
            return Ok(watch::channel(Some(true)).1);
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            self.failures.give_back(origin);
            return Err(AuthError::Busy);
        };
        let (sender, result) = watch::channel(None);
        asked.insert(question.clone(), result.clone());
        let check = Check {
            authenticator: Arc::clone(self),
            question,
            _place: place,
        };
        // A task of its own: the client that began it may go, others wait for it too.
        tokio::spawn(check.run(Arc::clone(users), attempt, sender));
        Ok(result)
    }

    /// Checks a password the slow way. For a user that there is not, it is checked against the hash of one that there is,
    /// always the same one, so that the time tells nothing.
    fn check(&self, users: &Users, attempt: &Attempt) -> bool {
        let user = &attempt.credentials.user;
        let known = users.hashes.get(user);
        let Some(hash) = known.or_else(|| self.stand_in(users, user)) else {
            return false;
        };
        self.checked.fetch_add(1, Ordering::Relaxed);
        let is_right = hash.is_of(&attempt.credentials.password) && known.is_some();
        if is_right {
            users.remember(user, attempt.origin, attempt.tag);
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
    async fn run(self, users: Arc<Users>, attempt: Attempt, sender: watch::Sender<Option<bool>>) {
        let own = &self.authenticator;
        let Ok(turn) = Arc::clone(&own.running).acquire_owned().await else {
            return;
        };
        let checking = Arc::clone(own);
        let origin = attempt.origin;
        let check = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the work.
            let _turn = turn;
            checking.check(&users, &attempt)
        });
        let is_right = check.await.unwrap_or(false);
        if is_right {
            own.failures.give_back(origin);
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

/// What the tag of a password is made of. No hash holds a zero byte, so the parts can't run into one another.
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
        let refused = Err(AuthError::Unauthorized);
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
            assert_eq!(admitted, Err(AuthError::Unauthorized), "{value}");
        }
        let admitted = authenticator.admit(&users, ip(1), &HeaderMap::new()).await;
        assert_eq!(
            (admitted, checked(&authenticator)),
            (Err(AuthError::Unauthorized), 0)
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
            assert_eq!(admitted, Err(AuthError::Unauthorized));
        }
        let before = checked(&authenticator);
        let refused = authenticator
            .admit(&users, ip(1), &basic("alice", "wonderland"))
            .await;
        assert!(matches!(refused, Err(AuthError::TooMany(wait)) if wait <= FAILURES.interval));
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
    async fn a_user_who_logged_in_helps_nobody_to_guess() {
        let (authenticator, users) = (Authenticator::new(), users());
        let right = basic("alice", "wonderland");
        authenticator.admit(&users, ip(1), &right).await.unwrap();
        let mut results = Vec::new();
        for attempt in 0..20_000 {
            let wrong = basic("alice", &attempt.to_string());
            results.push(authenticator.admit(&users, ip(2), &wrong).await);
        }
        let compared = |results: &[Result<(), AuthError>]| {
            let unauthorized = Err(AuthError::Unauthorized);
            results.iter().filter(|result| **result == unauthorized).count()
        };
        // The checks take well under the six seconds for which one more comes back.
        assert!((10..=11).contains(&compared(&results)), "{}", compared(&results));
        assert!(
            results[12..]
                .iter()
                .all(|result| matches!(result, Err(AuthError::TooMany(_))))
        );
        // Not even the right one is let in now, and who knows it is served where it was sent before.
        let admitted = authenticator.admit(&users, ip(2), &right).await;
        assert!(matches!(admitted, Err(AuthError::TooMany(_))), "{admitted:?}");
        assert_eq!(authenticator.admit(&users, ip(1), &right).await, Ok(()));
        // Another address is let in without a slow check, whoever waits for one.
        let before = checked(&authenticator);
        assert_eq!(authenticator.admit(&users, ip(3), &right).await, Ok(()));
        assert_eq!(checked(&authenticator), before);
    }

    #[tokio::test]
    async fn the_limit_is_asked_before_another_clients_check_is_waited_for() {
        let (authenticator, users) = (Authenticator::new(), users());
        for attempt in 0..FAILURES.burst {
            let wrong = basic("alice", &attempt.to_string());
            let admitted = authenticator.admit(&users, ip(2), &wrong).await;
            assert_eq!(admitted, Err(AuthError::Unauthorized));
        }
        let turns = Arc::clone(&authenticator.running).acquire_many_owned(2).await;
        let right = basic("alice", "wonderland");
        let mut login = std::pin::pin!(authenticator.admit(&users, ip(1), &right));
        assert!(futures_util::poll!(login.as_mut()).is_pending());
        let guess = authenticator.admit(&users, ip(2), &right).await;
        assert!(matches!(guess, Err(AuthError::TooMany(_))), "{guess:?}");
        drop(turns);
        assert_eq!(login.await, Ok(()));
    }

    #[tokio::test]
    async fn a_flood_from_many_networks_keeps_no_known_client_out() {
        let (authenticator, users) = (Authenticator::new(), users());
        let network =
            |number: u16| Peer::Ip(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into());
        let right = basic("alice", "wonderland");
        authenticator.admit(&users, network(0), &right).await.unwrap();
        let flood = (1..6000).map(|number| {
            let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
            async move {
                let wrong = basic("alice", &number.to_string());
                authenticator.admit(&users, network(number), &wrong).await
            }
        });
        for result in futures_util::future::join_all(flood).await {
            assert!(result.is_err());
        }
        assert_eq!(authenticator.admit(&users, network(0), &right).await, Ok(()));
        // Those who know the password do not grow the memory without a bound, nor push another user out.
        authenticator
            .admit(&users, ip(1), &basic("bob", "builder"))
            .await
            .unwrap();
        for number in 0..3 * u16::try_from(MAX_PROVEN).unwrap() {
            authenticator
                .admit(&users, network(number), &right)
                .await
                .unwrap();
        }
        let proven = users.proven.lock().unwrap();
        assert_eq!(
            (proven["alice"].origins.len(), proven["bob"].origins.len()),
            (MAX_PROVEN, 1)
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
            assert_eq!(attempts.join_next().await.unwrap().unwrap(), Err(AuthError::Busy));
            busy += 1;
        }
        assert_eq!(checked(&authenticator), 0);
        drop(turns);
        let rest = attempts.join_all().await;
        assert_eq!(rest, vec![Err(AuthError::Unauthorized); MAX_CHECKS + MAX_WAITING]);
    }

    #[tokio::test]
    async fn requests_that_bear_the_same_wait_for_one_check() {
        for (password, expected) in [("wonderland", Ok(())), ("x", Err(AuthError::Unauthorized))] {
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
