//! What a provider's response says about the API key and the account.

use crate::model::words;

words! {
    /// What a provider's response says about the API key and the account: the values of the label `state`.
    KeyState {
        /// The provider accepted the key.
        Valid = "valid",
        /// The provider responded, but it responds to every key in the same way.
        NotProven = "not_proven",
        /// The provider responded, and the check has no key.
        NoKey = "no_key",
        /// The provider rejected the key.
        Invalid = "invalid",
        /// The provider knows the key, but the key, its project or this machine may not list models.
        NoPermission = "no_permission",
        /// The credits, the budget or the spend limit of the account are used up.
        QuotaSpent = "quota_spent",
        /// The provider limits the rate of requests.
        RateLimited = "rate_limited",
        /// The provider can't be reached, fails, or is overloaded.
        Unavailable = "unavailable",
        /// The response is not one of the provider's API.
        Unexpected = "unexpected",
    }
}

impl KeyState {
    /// Whether it is a fact about the key or the account, which lasts. The other states are about one run.
    pub const fn is_lasting(self) -> bool {
        !matches!(self, Self::RateLimited | Self::Unavailable | Self::Unexpected)
    }

    /// Whether the list of models can be used.
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Valid | Self::NotProven | Self::NoKey)
    }

    /// Whether the key is valid; `None` if the state does not tell. An account without quota has a valid key.
    pub const fn key_valid(self) -> Option<bool> {
        match self {
            Self::Valid | Self::QuotaSpent => Some(true),
            Self::Invalid => Some(false),
            _ => None,
        }
    }
}
