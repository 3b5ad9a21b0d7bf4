//! Whether a container is in a restart loop. At one look it may run, wait to be restarted, or have just ended; what counts
//! is how often its policy restarted it within a window, as the engine's `RestartCount` tells from look to look. Pure.

use std::collections::VecDeque;

use super::answer::{Container, State};

/// For how long a restart counts, in seconds. Docker waits up to a minute between two restarts (moby's
/// `restartmanager.go`), so a loop has at least four of them in this time.
pub const WINDOW: f64 = 300.0;

/// How many restarts within the window make a loop.
const LOOP: u32 = 3;

/// From this age on, in seconds, Docker takes a run for a success, and its next wait is short again (`restartmanager.go`).
pub const PROVEN: f64 = 10.0;

/// Of a container that was restarted often before the first look, nobody knows when. If it was started less than these
/// seconds ago, it is taken to be in a loop.
const FIRST_LOOK: f64 = 60.0;

/// The most looks that found restarts that are kept; few are needed to see a loop.
const MAX_KEPT: usize = 16;

/// How a container has been doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// Nothing is known against it.
    Steady,
    /// Its policy restarted it this many seconds ago; whether it lasts is not known yet.
    Restarted(f64),
    /// Its policy restarts it again and again.
    Looping {
        /// So many times within the window.
        restarts: u32,
        /// Once it has run for so many seconds, the loop is over.
        proof: f64,
    },
}

/// What earlier looks at a container found.
#[derive(Debug, Default)]
pub struct Restarts {
    id: String,
    last: Option<Look>,
    /// When restarts were found, and how many there were since the look before.
    recent: VecDeque<(f64, u32)>,
    /// The longest that it ran between two of these restarts, in seconds.
    longest_life: f64,
    /// Whether its policy started it the last time, as far as is known.
    is_by_policy: bool,
}

/// What the last look found.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// `RestartCount`. Engines raise it when the container ends, before they start it again.
    count: u32,
    /// When the container was started.
    started: f64,
    /// What `RestartCount` was at that start.
    count_at_start: u32,
}

impl Restarts {
    /// Takes note of a container as it is `now` by the engine's clock, and says how it has been doing.
    pub fn look(&mut self, container: &Container, now: f64) -> Course {
        let (count, started) = (container.restarts.unwrap_or(0), container.started.unwrap_or(0.0));
        let is_running = container.state == Some(State::Running);
        let age = (now - started).max(0.0);
        // Whoever starts a container by hand resets Docker's count.
        let is_another = self.id != container.id || self.last.is_some_and(|last| count < last.count);
        if is_another {
            *self = Self {
                id: container.id.clone(),
                ..Self::default()
            };
        }
        let count_at_start = match self.last {
            None => {
                self.first_look(count, started, age);
                count.saturating_sub(u32::from(!is_running))
            }
            Some(last) => self.next_look(last, container, (count, started)),
        };
        self.last = Some(Look {
            count,
            started,
            count_at_start,
        });
        self.forget(now);
        self.course(is_running, age)
    }

    fn first_look(&mut self, count: u32, started: f64, age: f64) {
        self.is_by_policy = count > 0;
        if count >= LOOP && age < FIRST_LOOK {
            self.recent.push_back((started, count));
            self.longest_life = FIRST_LOOK / 2.0;
        } else if count > 0 {
            self.recent.push_back((started, 1));
        }
    }

    /// What the count was at the current start.
    fn next_look(&mut self, last: Look, container: &Container, (count, started): (u32, f64)) -> u32 {
        let is_started = started > last.started;
        if count > last.count {
            let ended = container.finished.filter(|ended| *ended >= last.started);
            let ended = ended.unwrap_or(started);
            self.longest_life = self.longest_life.max(ended - last.started);
            let at = if is_started { started } else { ended };
            self.recent.push_back((at, count - last.count));
        }
        if !is_started {
            return last.count_at_start;
        }
        self.is_by_policy = count > last.count_at_start;
        if !self.is_by_policy {
            // podman keeps its count when the container is started by hand.
            self.recent.clear();
        }
        count
    }

    fn forget(&mut self, now: f64) {
        while self.recent.front().is_some_and(|(at, _)| now - at > WINDOW) || self.recent.len() > MAX_KEPT {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.longest_life = 0.0;
        }
    }

    fn course(&self, is_running: bool, age: f64) -> Course {
        let restarts = self
            .recent
            .iter()
            .fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        // A loop is over when the container has clearly outlived its earlier runs.
        let proof = (2.0 * self.longest_life).clamp(PROVEN, WINDOW);
        if restarts >= LOOP && !(is_running && age >= proof) {
            Course::Looping { restarts, proof }
        } else if is_running && self.is_by_policy && age < PROVEN {
            Course::Restarted(age)
        } else {
            Course::Steady
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
    fn docker_s_growing_waits_are_a_loop_at_every_look() {
        // Each life lasts a second; the waits double from 0.1 s to a minute.
        let (mut restarts, mut started, mut finished, mut wait) = (Restarts::default(), 0.0, 0.0, 0.1);
        let mut seen = Vec::new();
        for count in 0..14 {
            seen.push(restarts.look(&running(count, started, finished), started + 0.5));
            finished = started + 1.0;
            // The count is raised at the end, and not at the start.
            let waiting = container("a", State::Restarting, count + 1, started, finished);
            seen.push(restarts.look(&waiting, finished + wait / 2.0));
            started = finished + wait;
            wait = f64::min(wait * 2.0, 60.0);
        }
        assert_eq!(seen[0], Course::Steady);
        assert_eq!(seen[2], Course::Restarted(0.5));
        let after = &seen[5..];
        assert!(
            after
                .iter()
                .all(|course| matches!(course, Course::Looping { proof: 10.0, .. })),
            "{seen:?}"
        );
    }

    #[test]
    fn a_loop_is_over_when_a_run_outlasts_the_earlier_ones() {
        for (life, proof) in [(1.0, 10.0), (15.0, 30.0), (70.0, 140.0)] {
            let mut restarts = Restarts::default();
            for count in 0..4 {
                let started = f64::from(count) * life;
                restarts.look(&running(count, started, started), started + 0.1);
            }
            let last = running(3, 3.0 * life, 3.0 * life);
            let at = |restarts: &mut Restarts, age: f64| restarts.look(&last, 3.0 * life + age);
            assert_eq!(
                at(&mut restarts, proof - 0.5),
                Course::Looping { restarts: 3, proof },
                "{life}"
            );
            assert_eq!(at(&mut restarts, proof + 0.5), Course::Steady, "{life}");
        }
    }

    #[test]
    fn one_restart_is_none() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.look(&running(0, 0.0, 0.0), 1000.0), Course::Steady);
        assert_eq!(
            restarts.look(&running(1, 1001.0, 1001.0), 1002.0),
            Course::Restarted(1.0)
        );
        assert_eq!(restarts.look(&running(1, 1001.0, 1001.0), 1011.0), Course::Steady);
        // Two more, but long after.
        assert_eq!(restarts.look(&running(3, 1400.0, 1399.0), 1420.0), Course::Steady);
    }

    #[test]
    fn whoever_starts_it_by_hand_ends_the_loop() {
        let looping = || {
            let mut restarts = Restarts::default();
            for count in 0..5 {
                let started = f64::from(count);
                restarts.look(&running(count, started, started), started + 0.5);
            }
            assert!(matches!(
                restarts.look(&running(4, 4.0, 4.0), 4.6),
                Course::Looping { .. }
            ));
            restarts
        };
        assert_eq!(
            looping().look(&running(0, 5.0, 5.0), 5.5),
            Course::Steady,
            "Docker"
        );
        assert_eq!(
            looping().look(&running(4, 5.0, 5.0), 5.5),
            Course::Steady,
            "podman"
        );
        let another = container("b", State::Running, 0, 5.0, 0.0);
        assert_eq!(looping().look(&another, 5.5), Course::Steady, "made anew");
    }

    #[test]
    fn one_look_judges_by_the_count_and_the_start() {
        let once = |state, count, age: f64| {
            Restarts::default().look(&container("a", state, count, 100.0, 99.0), 100.0 + age)
        };
        assert_eq!(once(State::Running, 0, 1.0), Course::Steady);
        assert_eq!(once(State::Running, 1, 1.0), Course::Restarted(1.0));
        assert_eq!(once(State::Running, 1, 11.0), Course::Steady);
        assert!(matches!(
            once(State::Running, 3, 59.0),
            Course::Looping { restarts: 3, .. }
        ));
        assert_eq!(once(State::Running, 3, 61.0), Course::Steady);
        assert!(matches!(
            once(State::Restarting, 7, 30.0),
            Course::Looping { restarts: 7, .. }
        ));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_grow(looks in proptest::collection::vec(
            (any::<u32>(), any::<f64>(), any::<f64>(), any::<f64>()), 0..60)
        ) {
            let mut restarts = Restarts::default();
            for (count, started, finished, now) in looks {
                restarts.look(&running(count, started, finished), now);
                prop_assert!(restarts.recent.len() <= MAX_KEPT);
            }
        }
    }
}
