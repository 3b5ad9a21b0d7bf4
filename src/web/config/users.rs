//! Users with the bcrypt hashes of their passwords.

use std::collections::BTreeMap;
use std::fmt;

use bcrypt::HashParts;

use crate::config::place::{Invalid, Place};
use crate::config::secret::Secret;

/// The highest cost of a hash. A check takes 2^cost rounds, which is several seconds at 16.
pub const MAX_COST: u32 = 16;
/// The lowest cost of bcrypt.
const MIN_COST: u32 = 4;

/// The bcrypt hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Secret,
    /// A check takes 2^cost rounds.
    pub cost: u32,
}

/// Hides the hash, since it can be attacked offline.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl PasswordHash {
    /// Reports whether this is the hash of `password`. Slow on purpose, and equally slow for any password. bcrypt uses only the
    /// first 72 bytes of a password.
    pub fn matches(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.text.expose()).unwrap_or(false)
    }

    /// Returns the hash itself, to derive keyed hashes from. It must not be shown.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    fn parse(text: String, place: &Place<'_>) -> Result<Self, Invalid> {
        let Ok(parts) = text.parse::<HashParts>() else {
            return Err(
                place.error("is not a bcrypt hash: generate one with htpasswd -nBC 10 \"\" | tr -d ':\\n'")
            );
        };
        let cost = parts.get_cost();
        if cost > MAX_COST {
            return Err(place.error(format_args!(
                "has cost {cost}, so checking a password would take many seconds: use a cost of at most {MAX_COST}"
            )));
        }
        if cost < MIN_COST {
            return Err(place.error(format_args!(
                "has cost {cost}, which bcrypt does not support: use a cost of at least {MIN_COST}, better 10"
            )));
        }
        Ok(Self {
            text: Secret::new(text),
            cost,
        })
    }
}

/// Resolves users and their hashes.
pub(super) fn resolve(
    hashes: BTreeMap<String, String>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, PasswordHash>, Invalid> {
    let mut users = BTreeMap::new();
    let mut result = Ok(());
    for (user, hash) in hashes {
        let place = place.field(&user);
        // RFC 7617, section 2.
        if user.contains(':') || user.contains(char::is_control) {
            let message = "a user name can't contain a colon or a control character: rename the user";
            result = Err(place.error_at_key(message));
            continue;
        }
        match PasswordHash::parse(hash, &place) {
            Ok(hash) => drop(users.insert(user, hash)),
            Err(invalid) => result = Err(invalid),
        }
    }
    result.map(|()| users)
}
