//! What is remembered about a provider between runs, and when it is still fresh.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::{ListedModel, Remaining};
use super::key_state::KeyState;
use crate::model::{Problem, Reason};

/// The longest wait that a provider can ask for. A daily quota resets within this time, and a wrong header does not stop the check.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How long the proof that a list needs a key, or does not, is used. A wrong key once a day harms nobody.
const PROOF_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long the last answer about the key stands in for one that a rate limit or an outage prevents. A key that is fine today rarely is
/// not tomorrow.
const MAX_LAST_KNOWN: Duration = Duration::from_secs(24 * 3600);

/// A result is fresh for this part of the interval (in percent). Ticks are whole intervals apart, but a run may start early or late.
const FRESH_PERCENT: u32 = 90;

/// The last facts about one key at one provider. Times are Unix times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When the provider last said something that lasts; 0 if never.
    pub answered: i64,
    /// The lasting state of that answer.
    #[serde(with = "state_word")]
    pub state: Option<KeyState>,
    /// Why the state is not a valid key: the reason and the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<(String, String)>,
    /// When the provider last sent its list; 0 if never.
    pub listed: i64,
    /// The models of that list.
    pub models: Vec<ListedModel>,
    /// What the provider still allows.
    pub remaining: Remaining,
    /// Before this time, the provider wants no request.
    pub wait_until: i64,
    /// The outage with which the provider asked to wait: the reason and the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<(String, String)>,
    /// Whether the list needs a key, and when that was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<(bool, i64)>,
    /// How many models were added to the list since the first one.
    pub added: u64,
    /// How many models were removed.
    pub removed: u64,
}

/// How a state is saved.
mod state_word {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::KeyState;

    pub fn serialize<S: Serializer>(state: &Option<KeyState>, serializer: S) -> Result<S::Ok, S::Error> {
        match state {
            Some(state) => serializer.serialize_str(state.as_str()),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyState>, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        Ok(word.and_then(|word| KeyState::from_word(&word)))
    }
}

/// The difference between two lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ListChange {
    /// The ids of new models.
    pub added: Vec<String>,
    /// The ids of models that are gone.
    pub removed: Vec<String>,
}

impl Entry {
    /// The age of the last lasting answer. `None` if there is none, or if it is from the future because the clock was set back.
    pub fn age(&self, now: i64) -> Option<Duration> {
        let age = u64::try_from(now.saturating_sub(self.answered)).ok()?;
        self.state.filter(|_| self.answered > 0)?;
        Some(Duration::from_secs(age))
    }

    /// Whether the last lasting answer still stands while the provider gives no other one.
    pub fn is_known(&self, now: i64) -> bool {
        self.age(now).is_some_and(|age| age < MAX_LAST_KNOWN)
    }

    /// The model that requests find under this id.
    pub fn offers(&self, id: &str) -> Option<&ListedModel> {
        let is_named =
            |listed: &&ListedModel| listed.model.id == id || listed.aliases.iter().any(|alias| alias == id);
        self.models.iter().find(is_named)
    }

    /// Whether a run can use the entry instead of sending requests. `good` and `bad` are how long results are used. A good one has all
    /// `expected` models. A bad one is used for a shorter time, so that a new key, credits or models show soon.
    pub fn is_fresh(&self, now: i64, (good, bad): (Duration, Duration), expected: &[String]) -> bool {
        let is_good = self.state.is_some_and(KeyState::is_accepted)
            && expected.iter().all(|id| self.offers(id).is_some());
        let lifetime = match is_good {
            true => good,
            false => bad,
        };
        self.age(now)
            .is_some_and(|age| age < lifetime * FRESH_PERCENT / 100)
    }

    /// How long the provider still wants no request. A time that a clock change moved far away is ignored.
    pub fn wait(&self, now: i64) -> Option<Duration> {
        let wait = u64::try_from(self.wait_until.saturating_sub(now))
            .ok()
            .filter(|wait| *wait > 0)?;
        Some(Duration::from_secs(wait)).filter(|wait| *wait <= MAX_WAIT)
    }

    /// Whether the list needs a key, if that was found out lately.
    pub fn needs_key(&self, now: i64) -> Option<bool> {
        let (needs_key, since) = self.proof?;
        let age = u64::try_from(now.saturating_sub(since)).ok()?;
        (Duration::from_secs(age) < PROOF_LIFETIME).then_some(needs_key)
    }

    /// The problem of the last lasting answer.
    pub fn problem(&self) -> Option<Problem> {
        restore(self.problem.as_ref()?)
    }

    /// The outage with which the provider asked to wait.
    pub fn outage(&self) -> Option<Problem> {
        restore(self.outage.as_ref()?)
    }

    /// Records a list, and returns what changed since the last one.
    pub fn record_list(&mut self, models: Vec<ListedModel>, now: i64) -> ListChange {
        let ids = |models: &[ListedModel]| -> BTreeSet<String> {
            models.iter().map(|listed| listed.model.id.clone()).collect()
        };
        let change = match self.listed {
            0 => ListChange::default(),
            _ => {
                let (old, new) = (ids(&self.models), ids(&models));
                ListChange {
                    added: new.difference(&old).cloned().collect(),
                    removed: old.difference(&new).cloned().collect(),
                }
            }
        };
        self.added = self.added.saturating_add(change.added.len() as u64);
        self.removed = self.removed.saturating_add(change.removed.len() as u64);
        self.models = models;
        self.listed = now;
        change
    }
}

/// A saved problem.
fn restore((reason, message): &(String, String)) -> Option<Problem> {
    Some(Problem::new(Reason::from_word(reason)?, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    const HOUR: Duration = Duration::from_secs(3600);
    const FIVE_MINUTES: Duration = Duration::from_secs(300);

    fn listed(ids: &[&str]) -> Vec<ListedModel> {
        let model = |id: &&str| ListedModel {
            model: Model {
                id: (*id).to_owned(),
                ..Model::default()
            },
            aliases: Vec::new(),
        };
        ids.iter().map(model).collect()
    }

    #[test]
    fn a_good_answer_is_fresh_for_an_interval_and_a_bad_one_for_a_recheck_interval() {
        let entry = |state| Entry {
            answered: 10_000,
            state,
            ..Entry::default()
        };
        for (state, age, expected) in [
            (Some(KeyState::Valid), 0, true),
            (Some(KeyState::Valid), 3239, true),
            (Some(KeyState::Valid), 3240, false),
            (Some(KeyState::NotProven), 3239, true),
            (Some(KeyState::Invalid), 269, true),
            (Some(KeyState::Invalid), 270, false),
            (Some(KeyState::QuotaSpent), 270, false),
            (Some(KeyState::Valid), -1, false),
            (None, 0, false),
        ] {
            let is_fresh = entry(state).is_fresh(10_000 + age, (HOUR, FIVE_MINUTES), &[]);
            assert_eq!(is_fresh, expected, "{state:?} after {age} s");
        }
        assert!(!Entry::default().is_fresh(0, (HOUR, FIVE_MINUTES), &[]));
        let mut entry = entry(Some(KeyState::Valid));
        entry.models = listed(&["a"]);
        for (expected, is_fresh) in [("a", true), ("b", false)] {
            let found = entry.is_fresh(10_270, (HOUR, FIVE_MINUTES), &[expected.to_owned()]);
            assert_eq!(found, is_fresh, "{expected}");
        }
    }

    #[test]
    fn a_wait_ends_and_survives_no_clock_change() {
        let entry = Entry {
            wait_until: 1_000,
            ..Entry::default()
        };
        assert_eq!(entry.wait(940), Some(Duration::from_secs(60)));
        assert_eq!(entry.wait(1_000), None);
        assert_eq!(entry.wait(2_000), None);
        assert_eq!(entry.wait(-1_000_000), None);
    }

    #[test]
    fn a_proof_lasts_a_day() {
        let entry = Entry {
            proof: Some((true, 1_000)),
            ..Entry::default()
        };
        assert_eq!(entry.needs_key(1_000 + 86_399), Some(true));
        assert_eq!(entry.needs_key(1_000 + 86_400), None);
        assert_eq!(entry.needs_key(999), None);
    }

    #[test]
    fn changes_of_the_list_are_counted_from_the_second_list_on() {
        let mut entry = Entry::default();
        assert_eq!(entry.record_list(listed(&["a", "b"]), 1), ListChange::default());
        let change = entry.record_list(listed(&["b", "c", "d"]), 2);
        assert_eq!(
            (change.added, change.removed),
            (vec!["c".to_owned(), "d".to_owned()], vec!["a".to_owned()])
        );
        assert_eq!(
            entry.record_list(listed(&["b", "c", "d"]), 3),
            ListChange::default()
        );
        assert_eq!((entry.added, entry.removed), (2, 1));
    }
}
