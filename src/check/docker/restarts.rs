//! Detects restart loops. At a single observation the container may run, wait for its restart, or have just exited. So this
//! counts how often its policy restarted it within a window, from changes of the engine's `RestartCount`. Pure.

use std::collections::VecDeque;

use super::response::{Container, State};

/// How long a restart counts, in seconds. Docker waits up to a minute between two restarts (moby's `restartmanager.go`), so a
/// loop has at least four in this time.
pub const WINDOW: f64 = 300.0;

/// How many restarts within the window are a loop.
const LOOP_RESTARTS: u32 = 3;

/// After this time, in seconds, Docker considers a run successful, and its next wait is short again (`restartmanager.go`).
pub const STABLE_AFTER: f64 = 10.0;

/// The times of restarts before the first observation are unknown. If there were many, and the last start is less than this
/// many seconds ago, the container is considered in a loop.
const RECENT_START: f64 = 60.0;

/// The maximum number of stored observations with restarts. A few suffice to detect a loop.
const MAX_STORED: usize = 16;

/// How stable a container is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stability {
    /// No recent restart is known.
    Steady,
    /// Its policy restarted it this many seconds ago, so it is not known yet whether the run lasts.
    Restarted(f64),
    /// Its policy restarts it repeatedly.
    Looping {
        /// The number of restarts within the window.
        restarts: u32,
        /// The loop is over once the container has run for this many seconds.
        stable_after: f64,
    },
}

/// The history of a container's restarts.
#[derive(Debug, Default)]
pub struct Restarts {
    id: String,
    last: Option<Observation>,
    /// When restarts were found, and how many since the observation before.
    recent: VecDeque<(f64, u32)>,
    /// The longest run between two of these restarts, in seconds.
    longest_run: f64,
    /// Whether the last start was by the policy, as far as is known.
    is_by_policy: bool,
}

/// An observation of a container.
#[derive(Clone, Copy, Debug)]
struct Observation {
    /// `RestartCount`. Engines increment it when the container exits, before they restart it.
    count: u32,
    /// When the container was started.
    started: f64,
    /// The value of `RestartCount` at that start.
    count_at_start: u32,
}

impl Restarts {
    /// Records the container at `now` on the engine's clock, and returns its stability.
    pub fn observe(&mut self, container: &Container, now: f64) -> Stability {
        let (count, started) = (container.restarts.unwrap_or(0), container.started.unwrap_or(0.0));
        let is_running = container.state == Some(State::Running);
        let age = (now - started).max(0.0);
        // A manual start resets Docker's count.
        let is_another = self.id != container.id || self.last.is_some_and(|last| count < last.count);
        if is_another {
            *self = Self {
                id: container.id.clone(),
                ..Self::default()
            };
        }
        let count_at_start = match self.last {
            None => {
                self.observe_first(count, started, age);
                count.saturating_sub(u32::from(!is_running))
            }
            Some(last) => self.observe_next(last, container, (count, started)),
        };
        self.last = Some(Observation {
            count,
            started,
            count_at_start,
        });
        self.drop_old(now);
        self.stability(is_running, age)
    }

    fn observe_first(&mut self, count: u32, started: f64, age: f64) {
        self.is_by_policy = count > 0;
        if count >= LOOP_RESTARTS && age < RECENT_START {
            self.recent.push_back((started, count));
            self.longest_run = RECENT_START / 2.0;
        } else if count > 0 {
            self.recent.push_back((started, 1));
        }
    }

    /// Records a further observation, and returns the count at the current start.
    fn observe_next(
        &mut self,
        last: Observation,
        container: &Container,
        (count, started): (u32, f64),
    ) -> u32 {
        let is_started = started > last.started;
        if count > last.count {
            let ended = container.finished.filter(|ended| *ended >= last.started);
            let ended = ended.unwrap_or(started);
            self.longest_run = self.longest_run.max(ended - last.started);
            let at = if is_started { started } else { ended };
            self.recent.push_back((at, count - last.count));
        }
        if !is_started {
            return last.count_at_start;
        }
        self.is_by_policy = count > last.count_at_start;
        if !self.is_by_policy {
            // After a manual start, podman keeps its count.
            self.recent.clear();
        }
        count
    }

    fn drop_old(&mut self, now: f64) {
        while self.recent.front().is_some_and(|(at, _)| now - at > WINDOW) || self.recent.len() > MAX_STORED {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.longest_run = 0.0;
        }
    }

    fn stability(&self, is_running: bool, age: f64) -> Stability {
        let restarts = self
            .recent
            .iter()
            .fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        // A loop is over when the container has clearly outlasted its earlier runs.
        let stable_after = (2.0 * self.longest_run).clamp(STABLE_AFTER, WINDOW);
        if restarts >= LOOP_RESTARTS && !(is_running && age >= stable_after) {
            Stability::Looping {
                restarts,
                stable_after,
            }
        } else if is_running && self.is_by_policy && age < STABLE_AFTER {
            Stability::Restarted(age)
        } else {
            Stability::Steady
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn container(id: &str, state: State, count: u32, started: f64, finished: f64) -> Container {
        Container {
            id: id.to_owned(),
            state: Some(state),
            restarts: Some(count),
            started: Some(started),
            finished: Some(finished),
            ..Container::default()
        }
    }

    fn running(count: u32, started: f64, finished: f64) -> Container {
        container("a", State::Running, count, started, finished)
    }

    #[test]
    fn dockers_increasing_waits_are_a_loop_at_every_observation() {
        // Each run lasts a second; the waits double from 0.1 s to a minute.
        let (mut restarts, mut started, mut finished, mut wait) = (Restarts::default(), 0.0, 0.0, 0.1);
        let mut seen = Vec::new();
        for count in 0..14 {
            seen.push(restarts.observe(&running(count, started, finished), started + 0.5));
            finished = started + 1.0;
            // The count is incremented at the exit, not at the start.
            let waiting = container("a", State::Restarting, count + 1, started, finished);
            seen.push(restarts.observe(&waiting, finished + wait / 2.0));
            started = finished + wait;
            wait = f64::min(wait * 2.0, 60.0);
        }
        assert_eq!(seen[0], Stability::Steady);
        assert_eq!(seen[2], Stability::Restarted(0.5));
        let after = &seen[5..];
        assert!(
            after.iter().all(|stability| matches!(
                stability,
                Stability::Looping {
                    stable_after: 10.0,
                    ..
                }
            )),
            "{seen:?}"
        );
    }

    #[test]
    fn a_loop_is_over_when_a_run_outlasts_the_earlier_ones() {
        for (life, stable_after) in [(1.0, 10.0), (15.0, 30.0), (70.0, 140.0)] {
            let mut restarts = Restarts::default();
            for count in 0..4 {
                let started = f64::from(count) * life;
                restarts.observe(&running(count, started, started), started + 0.1);
            }
            let last = running(3, 3.0 * life, 3.0 * life);
            let at = |restarts: &mut Restarts, age: f64| restarts.observe(&last, 3.0 * life + age);
            assert_eq!(
                at(&mut restarts, stable_after - 0.5),
                Stability::Looping {
                    restarts: 3,
                    stable_after
                },
                "{life}"
            );
            assert_eq!(at(&mut restarts, stable_after + 0.5), Stability::Steady, "{life}");
        }
    }

    #[test]
    fn a_single_restart_is_not_a_loop() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.observe(&running(0, 0.0, 0.0), 1000.0), Stability::Steady);
        assert_eq!(
            restarts.observe(&running(1, 1001.0, 1001.0), 1002.0),
            Stability::Restarted(1.0)
        );
        assert_eq!(
            restarts.observe(&running(1, 1001.0, 1001.0), 1011.0),
            Stability::Steady
        );
        // Two more restarts, but much later.
        assert_eq!(
            restarts.observe(&running(3, 1400.0, 1399.0), 1420.0),
            Stability::Steady
        );
    }

    #[test]
    fn a_manual_start_ends_the_loop() {
        let looping = || {
            let mut restarts = Restarts::default();
            for count in 0..5 {
                let started = f64::from(count);
                restarts.observe(&running(count, started, started), started + 0.5);
            }
            assert!(matches!(
                restarts.observe(&running(4, 4.0, 4.0), 4.6),
                Stability::Looping { .. }
            ));
            restarts
        };
        assert_eq!(
            looping().observe(&running(0, 5.0, 5.0), 5.5),
            Stability::Steady,
            "Docker"
        );
        assert_eq!(
            looping().observe(&running(4, 5.0, 5.0), 5.5),
            Stability::Steady,
            "podman"
        );
        let another = container("b", State::Running, 0, 5.0, 0.0);
        assert_eq!(looping().observe(&another, 5.5), Stability::Steady, "recreated");
    }

    #[test]
    fn a_single_observation_uses_the_count_and_the_start() {
        let once = |state, count, age: f64| {
            Restarts::default().observe(&container("a", state, count, 100.0, 99.0), 100.0 + age)
        };
        assert_eq!(once(State::Running, 0, 1.0), Stability::Steady);
        assert_eq!(once(State::Running, 1, 1.0), Stability::Restarted(1.0));
        assert_eq!(once(State::Running, 1, 11.0), Stability::Steady);
        assert!(matches!(
            once(State::Running, 3, 59.0),
            Stability::Looping { restarts: 3, .. }
        ));
        assert_eq!(once(State::Running, 3, 61.0), Stability::Steady);
        assert!(matches!(
            once(State::Restarting, 7, 30.0),
            Stability::Looping { restarts: 7, .. }
        ));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_grow(looks in proptest::collection::vec(
            (any::<u32>(), any::<f64>(), any::<f64>(), any::<f64>()), 0..60)
        ) {
            let mut restarts = Restarts::default();
            for (count, started, finished, now) in looks {
                restarts.observe(&running(count, started, finished), now);
                prop_assert!(restarts.recent.len() <= MAX_STORED);
            }
        }
    }
}
