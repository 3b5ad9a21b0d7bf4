//! Which workers are known, and how many answers a run waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::celery::MAX_NAMED;

/// How long a worker that answers no more is remembered.
const MEMORY: Duration = Duration::from_secs(3600);

/// The longest name of a worker in a label, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// How long a hint that proved wrong is not followed again.
const DISAPPOINTMENT: Duration = Duration::from_secs(30);

/// How often a run looks out longer for workers that nobody knows.
const LOOK_AROUND: Duration = Duration::from_secs(30);

/// The least time that further answers are waited for after those that are enough: a worker that the last run did not
/// know answers in the same moment as the others.
const MIN_LINGER: Duration = Duration::from_millis(10);

/// What is remembered of the workers between runs.
#[derive(Debug, Default)]
pub struct Roster {
    /// When each of them answered last, by the name in its label.
    seen: BTreeMap<String, Instant>,
    /// How many answered in the last run.
    last: usize,
    /// How many more have a mailbox at the broker, as far as that was looked at.
    silent: usize,
    /// When a run last looked out for workers that nobody knows.
    looked_around: Option<Instant>,
    /// The hint that more workers listen than the last run heard of, and when it was followed in vain.
    disappointed: Option<(usize, Instant)>,
}

impl Roster {
    /// How many workers are to answer before a run stops waiting. `wanted` is what the configuration asks for; `listening`
    /// is how many seem to have got the ping, as far as the broker shows it. A listener that never answers would make
    /// every run as long as `reply_timeout`, so it is waited for only now and then.
    pub fn target(&self, wanted: usize, listening: usize, now: Instant) -> usize {
        let is_in_vain = self
            .disappointed
            .is_some_and(|(hint, at)| hint == listening && now - at < DISAPPOINTMENT);
        let hint = if is_in_vain { 0 } else { listening };
        wanted.max(self.last).max(hint)
    }

    /// How many workers seem to listen, where the broker does not show it: those that answered, and those that did not but
    /// still have a mailbox.
    pub fn heard(&self) -> usize {
        self.last + self.silent
    }

    /// Notes how many of those that did not answer still have a mailbox.
    pub fn still_listening(&mut self, silent: usize) {
        self.silent = silent;
    }

    /// Whether a run is to look out longer for workers that nobody knows, where the broker does not show how many there
    /// are. Notes that it does.
    pub fn is_to_look_around(&mut self, now: Instant) -> bool {
        let is_due = self.looked_around.is_none_or(|at| now - at >= LOOK_AROUND);
        if is_due {
            self.looked_around = Some(now);
        }
        is_due
    }

    /// Notes who answered in a run that waited for as many as `target` said.
    pub fn record(&mut self, answered: &BTreeSet<String>, target: usize, listening: usize, now: Instant) {
        if answered.len() < listening && listening <= target {
            self.disappointed = Some((listening, now));
        } else if answered.len() >= listening {
            self.disappointed = None;
        }
        self.last = answered.len();
        self.seen.retain(|_, at| now - *at < MEMORY);
        let mut new = Vec::new();
        for name in answered.iter().map(|name| label(name)) {
            match self.seen.get_mut(name) {
                Some(at) => *at = now,
                None => new.push(name),
            }
        }
        for name in new {
            if self.seen.len() < MAX_NAMED || self.forget_one(now) {
                self.seen.insert(name.to_owned(), now);
            }
        }
    }

    /// Makes room by forgetting the worker that has not answered for longest; those that answered `now` stay.
    fn forget_one(&mut self, now: Instant) -> bool {
        let oldest = self.seen.iter().min_by_key(|(_, at)| **at);
        let Some(name) = oldest.filter(|(_, at)| **at < now).map(|(name, _)| name.clone()) else {
            return false;
        };
        self.seen.remove(&name).is_some()
    }

    /// The known workers, and whether they answered in the run recorded at `now`.
    pub fn workers(&self, now: Instant) -> impl Iterator<Item = (&str, bool)> {
        self.seen
            .iter()
            .map(move |(name, at)| (name.as_str(), *at == now))
    }
}

/// How long further answers are waited for when enough came within `took`.
pub fn linger(took: Duration) -> Duration {
    MIN_LINGER.max(took * 2)
}

/// A worker's name as it is in its label.
pub fn label(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn workers(roster: &Roster, now: Instant) -> Vec<(&str, bool)> {
        roster.workers(now).collect()
    }

    #[test]
    fn as_many_are_waited_for_as_are_wanted_or_answered_before() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        assert_eq!(roster.target(1, 0, now), 1);
        roster.record(&names(&["a", "b"]), 1, 0, now);
        assert_eq!(roster.target(1, 0, now), 2);
        assert_eq!(roster.target(3, 0, now), 3);
        roster.record(&names(&["a"]), 2, 0, now);
        assert_eq!(roster.target(1, 0, now), 1);
    }

    #[test]
    fn a_listener_that_never_answers_is_waited_for_now_and_then() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let target = roster.target(1, 2, now);
        assert_eq!(target, 2);
        roster.record(&names(&["a"]), target, 2, now);
        let later = now + Duration::from_secs(29);
        assert_eq!(roster.target(1, 2, later), 1);
        // A run that did not wait for it proves nothing new.
        roster.record(&names(&["a"]), 1, 2, later);
        assert_eq!(roster.target(1, 3, later), 3);
        assert_eq!(roster.target(1, 2, now + Duration::from_secs(30)), 2);
        roster.record(&names(&["a", "b"]), 2, 2, later);
        roster.record(&names(&["a"]), 1, 1, later);
        assert_eq!(roster.target(1, 2, later), 2);
    }

    #[test]
    fn a_worker_that_still_has_a_mailbox_is_waited_for() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record(&names(&["a"]), 1, 1, now);
        roster.still_listening(1);
        assert_eq!(roster.target(1, roster.heard(), now), 2);
        roster.still_listening(0);
        assert_eq!(roster.target(1, roster.heard(), now), 1);
        assert!(roster.is_to_look_around(now));
        assert!(!roster.is_to_look_around(now + Duration::from_secs(29)));
        assert!(roster.is_to_look_around(now + Duration::from_secs(30)));
    }

    #[test]
    fn a_worker_that_answers_no_more_is_remembered_for_an_hour() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record(&names(&["a", "b"]), 1, 0, now);
        assert_eq!(workers(&roster, now), [("a", true), ("b", true)]);
        let later = now + Duration::from_secs(3599);
        roster.record(&names(&["b"]), 1, 0, later);
        assert_eq!(workers(&roster, later), [("a", false), ("b", true)]);
        let later = now + Duration::from_secs(3600);
        roster.record(&names(&[]), 1, 0, later);
        assert_eq!(workers(&roster, later), [("b", false)]);
    }

    #[test]
    fn names_are_bounded_and_those_known_stay() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let many: BTreeSet<String> = (0..100).map(|number| format!("m{number:03}")).collect();
        roster.record(&many, 1, 0, now);
        let mut more = many.clone();
        more.insert("a".to_owned());
        roster.record(&more, 1, 0, now);
        assert_eq!(roster.seen.len(), MAX_NAMED);
        assert!(!roster.seen.contains_key("a"));
        // One that is gone makes room.
        more.remove("m050");
        roster.record(&more, 1, 0, now + Duration::from_secs(1));
        assert_eq!(roster.seen.len(), MAX_NAMED);
        assert!(roster.seen.contains_key("a") && !roster.seen.contains_key("m050"));
        let long = format!("{}é@host", "x".repeat(63));
        assert_eq!(label(&long), "x".repeat(63));
    }

    #[test]
    fn a_slow_answer_makes_room_for_slower_ones() {
        assert_eq!(linger(Duration::from_millis(1)), Duration::from_millis(10));
        assert_eq!(linger(Duration::from_millis(200)), Duration::from_millis(400));
    }
}
