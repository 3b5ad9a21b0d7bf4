//! Which workers are known, and how many replies a run waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::celery::MAX_NAMED;
use crate::model::prefix;

/// How long a worker that no longer replies stays known.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// The maximum length of a worker's name in a label, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// How long runs ignore a number of listeners of which some did not reply.
const IGNORE_HINT_FOR: Duration = Duration::from_secs(30);

/// How often a run waits longer in order to discover unknown workers.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);

/// How long a run waits at least for further replies after it has enough: an unknown worker replies at about the same time
/// as the others.
const MIN_EXTRA_WAIT: Duration = Duration::from_millis(10);

/// The workers that a check knows between runs.
#[derive(Debug, Default)]
pub struct Roster {
    /// When each worker last replied, by the name in its label.
    seen: BTreeMap<String, Instant>,
    /// How many replied in the last run.
    last: usize,
    /// How many others have a mailbox at the broker, if a run looked for it.
    silent: usize,
    /// When a run last waited for unknown workers.
    discovered: Option<Instant>,
    /// The last number of listeners of which some did not reply, and when a run waited for them.
    ignored_hint: Option<(usize, Instant)>,
}

impl Roster {
    /// How many workers a run waits for. `wanted` is the configured number; `listening` is how many seem to have received the
    /// ping, according to the broker. A listener that never replies would extend every run to `reply_timeout`, so a run
    /// waits for it only every [`IGNORE_HINT_FOR`].
    pub fn target(&self, wanted: usize, listening: usize, now: Instant) -> usize {
        let is_ignored = self
            .ignored_hint
            .is_some_and(|(hint, at)| hint == listening && now - at < IGNORE_HINT_FOR);
        let hint = if is_ignored { 0 } else { listening };
        wanted.max(self.last).max(hint)
    }

    /// How many workers seem to listen, for brokers that do not report it: those that replied in the last run, and silent
    /// ones that still have a mailbox.
    pub fn expected_listeners(&self) -> usize {
        self.last + self.silent
    }

    /// Sets how many silent workers still have a mailbox.
    pub fn set_silent(&mut self, silent: usize) {
        self.silent = silent;
    }

    /// Whether this run should wait longer for unknown workers. If so, the next such run is due after
    /// [`DISCOVERY_INTERVAL`]. For brokers that do not report the number of workers.
    pub fn start_discovery(&mut self, now: Instant) -> bool {
        let is_due = self.discovered.is_none_or(|at| now - at >= DISCOVERY_INTERVAL);
        if is_due {
            self.discovered = Some(now);
        }
        is_due
    }

    /// Records the workers that replied in a run that waited for `target` workers.
    pub fn record(&mut self, replied: &BTreeSet<String>, target: usize, listening: usize, now: Instant) {
        if replied.len() < listening && listening <= target {
            self.ignored_hint = Some((listening, now));
        } else if replied.len() >= listening {
            self.ignored_hint = None;
        }
        self.last = replied.len();
        self.seen.retain(|_, at| now - *at < REMEMBERED_FOR);
        let mut new = Vec::new();
        for name in replied.iter().map(|name| label(name)) {
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

    /// Forgets the worker that has been silent for longest, but none that replied at `now`. Returns whether it forgot one.
    fn forget_one(&mut self, now: Instant) -> bool {
        let oldest = self.seen.iter().min_by_key(|(_, at)| **at);
        let Some(name) = oldest.filter(|(_, at)| **at < now).map(|(name, _)| name.clone()) else {
            return false;
        };
        self.seen.remove(&name).is_some()
    }

    /// The known workers, each with whether it replied in the run recorded at `now`.
    pub fn workers(&self, now: Instant) -> impl Iterator<Item = (&str, bool)> {
        self.seen
            .iter()
            .map(move |(name, at)| (name.as_str(), *at == now))
    }
}

/// How long a run waits for further replies after the wanted number arrived within `took`.
pub fn extra_wait(took: Duration) -> Duration {
    MIN_EXTRA_WAIT.max(took * 2)
}

/// A worker's name, truncated for its label.
pub fn label(name: &str) -> &str {
    prefix(name, MAX_NAME_BYTES)
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
    fn a_run_waits_for_as_many_as_are_wanted_or_replied_before() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        assert_eq!(roster.target(1, 0, now), 1);
        roster.record(&names(&["a", "b"]), 1, 0, now);
        assert_eq!(roster.target(1, 0, now), 2);
        assert_eq!(roster.target(3, 0, now), 3);
        roster.record(&names(&["a"]), 2, 0, now);
        assert_eq!(roster.target(1, 0, now), 1);
    }

    #[test]
    fn a_listener_that_never_replies_is_waited_for_occasionally() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let target = roster.target(1, 2, now);
        assert_eq!(target, 2);
        roster.record(&names(&["a"]), target, 2, now);
        let later = now + Duration::from_secs(29);
        assert_eq!(roster.target(1, 2, later), 1);
        // A run that did not wait for it does not renew the interval.
        roster.record(&names(&["a"]), 1, 2, later);
        assert_eq!(roster.target(1, 3, later), 3);
        assert_eq!(roster.target(1, 2, now + Duration::from_secs(30)), 2);
        roster.record(&names(&["a", "b"]), 2, 2, later);
        roster.record(&names(&["a"]), 1, 1, later);
        assert_eq!(roster.target(1, 2, later), 2);
    }

    #[test]
    fn a_silent_worker_with_a_mailbox_is_waited_for() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.record(&names(&["a"]), 1, 1, now);
        roster.set_silent(1);
        assert_eq!(roster.target(1, roster.expected_listeners(), now), 2);
        roster.set_silent(0);
        assert_eq!(roster.target(1, roster.expected_listeners(), now), 1);
        assert!(roster.start_discovery(now));
        assert!(!roster.start_discovery(now + Duration::from_secs(29)));
        assert!(roster.start_discovery(now + Duration::from_secs(30)));
    }

    #[test]
    fn a_silent_worker_stays_known_for_an_hour() {
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
    fn known_workers_and_names_are_bounded() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let many: BTreeSet<String> = (0..100).map(|number| format!("m{number:03}")).collect();
        roster.record(&many, 1, 0, now);
        let mut more = many.clone();
        more.insert("a".to_owned());
        roster.record(&more, 1, 0, now);
        assert_eq!(roster.seen.len(), MAX_NAMED);
        assert!(!roster.seen.contains_key("a"));
        // A silent worker makes room.
        more.remove("m050");
        roster.record(&more, 1, 0, now + Duration::from_secs(1));
        assert_eq!(roster.seen.len(), MAX_NAMED);
        assert!(roster.seen.contains_key("a") && !roster.seen.contains_key("m050"));
        let long = format!("{}é@host", "x".repeat(63));
        assert_eq!(label(&long), "x".repeat(63));
    }

    #[test]
    fn the_extra_wait_follows_the_response_time() {
        assert_eq!(extra_wait(Duration::from_millis(1)), Duration::from_millis(10));
        assert_eq!(extra_wait(Duration::from_millis(200)), Duration::from_millis(400));
    }
}
