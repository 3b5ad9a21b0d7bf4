//! Users with the bcrypt hashes of their passwords.

use std::collections::BTreeMap;
use std::fmt;

use bcrypt::HashParts;

use crate::config::place::{Invalid, Place};
use crate::config::secret::Secret;

/// The highest cost of a hash. A password is checked in 2^cost rounds; at 16 that takes seconds.
pub const MAX_COST: u32 = 16;
/// The lowest cost that bcrypt has.
const MIN_COST: u32 = 4;

/// The bcrypt hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Secret,
    /// Checking a password takes 2^cost rounds.
    pub cost: u32,
}

/// Shows nothing of the hash: it can be attacked.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl PasswordHash {
    /// Whether this is the hash of `password`. It takes long, and as long for a wrong password as for the right one.
    /// bcrypt knows only the first 72 bytes of a password.
    pub fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.text.expose()).unwrap_or(false)
    }

    /// The hash itself, to be hashed again and shown nowhere.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    fn read(text: String, place: &Place<'_>) -> Result<Self, Invalid> {
        let Ok(parts) = text.parse::<HashParts>() else {
            return Err(place.error(
                "is not a bcrypt hash: make one of the password with htpasswd -nBC 10 \"\" | tr -d ':\\n'",
            ));
        };
        let cost = parts.get_cost();
        if cost > MAX_COST {
            return Err(place.error(format_args!(
                "has the cost {cost}, and checking a password would take many seconds: make a hash of at most {MAX_COST}"
            )));
        }
        if cost < MIN_COST {
            return Err(place.error(format_args!(
                "has the cost {cost}, which bcrypt does not have: make a hash of at least {MIN_COST}, better 10"
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
    written: BTreeMap<String, String>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, PasswordHash>, Invalid> {
    let mut users = BTreeMap::new();
    let mut result = Ok(());
    for (user, hash) in written {
        let place = place.field(&user);
        // RFC 7617, section 2.
        if user.contains(':') || user.contains(char::is_control) {
            let message = "a user's name can't hold a colon or a control character: nobody could log in";
            result = Err(place.error_at_key(message));
            continue;
        }
        match PasswordHash::read(hash, &place) {
            Ok(hash) => drop(users.insert(user, hash)),
            Err(invalid) => result = Err(invalid),
        }
    }
    result.map(|()| users)
}
