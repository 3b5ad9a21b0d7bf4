//! The configured users, and the addresses from which each has logged in.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{constant_time, hmac};
use tokio::time::Instant;

use crate::web::config::PasswordHash;
use crate::web::peer::Peer;

/// The maximum number of addresses stored per user, about 160 bytes each. Only a correct password adds an address.
pub(super) const MAX_LOGINS: usize = 1024;

/// The users of one web configuration, and their logins.
#[derive(Debug)]
pub(in crate::web) struct Users {
    pub(super) hashes: BTreeMap<String, PasswordHash>,
    logins: Mutex<HashMap<String, Logins>>,
}

/// The logins of one user.
#[derive(Clone, Debug)]
struct Logins {
    /// A keyed hash of the correct password that was sent last.
    latest: hmac::Tag,
    /// By origin: a keyed hash of the correct password, and when it was sent last.
    origins: HashMap<Peer, (hmac::Tag, Instant)>,
}

impl Users {
    /// Creates the users of `hashes`. Takes the logins over from `previous` for every user whose hash is unchanged.
    pub fn new(hashes: BTreeMap<String, PasswordHash>, previous: Option<&Self>) -> Arc<Self> {
        let logins = previous.map(|previous| {
            let is_unchanged = |user: &String| {
                let [old, new] = [&previous.hashes, &hashes].map(|hashes| hashes.get(user));
                old.map(PasswordHash::expose) == new.map(PasswordHash::expose)
            };
            let logins = previous.lock();
            let unchanged = logins.iter().filter(|(user, _)| is_unchanged(user));
            unchanged
                .map(|(user, logins)| (user.clone(), logins.clone()))
                .collect()
        });
        Arc::new(Self {
            hashes,
            logins: Mutex::new(logins.unwrap_or_default()),
        })
    }

    /// Reports whether `origin` has logged in as `user` with this password. Takes the same time for any password.
    pub(super) fn has_login(&self, user: &str, origin: Peer, tag: &hmac::Tag) -> bool {
        let mut logins = self.lock();
        let login = logins
            .get_mut(user)
            .and_then(|logins| logins.origins.get_mut(&origin));
        let is_correct = login.as_ref().is_some_and(|(correct, _)| is_equal(correct, tag));
        if let (true, Some((_, last))) = (is_correct, login) {
            *last = Instant::now();
        }
        is_correct
    }

    /// Reports whether `user` logged in last, from any address, with this password.
    pub(super) fn is_latest(&self, user: &str, tag: &hmac::Tag) -> bool {
        let logins = self.lock();
        logins
            .get(user)
            .is_some_and(|logins| is_equal(&logins.latest, tag))
    }

    /// Records a login. If the user has too many, the login that was used least recently is dropped.
    pub(super) fn record_login(&self, user: &str, origin: Peer, tag: hmac::Tag) {
        let mut logins = self.lock();
        let logins = logins.entry(user.to_owned()).or_insert_with(|| Logins {
            latest: tag,
            origins: HashMap::new(),
        });
        logins.latest = tag;
        let origins = &mut logins.origins;
        if origins.len() >= MAX_LOGINS && !origins.contains_key(&origin) {
            let oldest = origins.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(origin, _)| *origin) {
                origins.remove(&oldest);
            }
        }
        origins.insert(origin, (tag, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Logins>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn has_no_logins(&self) -> bool {
        self.lock().is_empty()
    }

    /// The number of addresses that logged in as `user`.
    #[cfg(test)]
    pub(super) fn logins(&self, user: &str) -> usize {
        self.lock().get(user).map_or(0, |logins| logins.origins.len())
    }
}

fn is_equal(one: &hmac::Tag, other: &hmac::Tag) -> bool {
    constant_time::verify_slices_are_equal(one.as_ref(), other.as_ref()).is_ok()
}
