//! Keeps time for the jobs: requests the runs of checks when jobs become late, notices when the exporter was away, and saves the jobs.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::file::encode;
use super::registry::{Heartbeats, State};
use crate::model::{Clock, Moment};
use crate::state_dir::SaveError;

/// How often times are compared, so that a check runs soon after its job becomes late. Also the minimum time between two writes of the file.
const TICK: Duration = Duration::from_secs(1);

/// The maximum age of the file. After a crash, the exporter counts as away since the last write.
const REFRESH: Duration = Duration::from_secs(60);

impl State {
    /// Compares the clocks. If the wall clock was set, or no beat could arrive for a while, requests a run of every check. Returns the time.
    /// Not only the timekeeper does this: after a freeze, runs and beats may come before its next tick.
    pub(super) fn observe(&mut self, clock: &dyn Clock) -> Moment {
        let now = clock.now();
        let before = self.wall.nanos(now);
        let has_jumped = self.wall.update(clock);
        if has_jumped {
            self.away
                .set_wall(self.wall.nanos(now).saturating_sub(before), now);
        }
        let was_away = self.away.notice(now);
        if was_away {
            info!(
                "the exporter could not receive beats for a while; jobs whose beat may be lost have until the next one"
            );
        }
        if has_jumped || was_away {
            self.needs_saving = true;
            for entry in self.jobs.values_mut() {
                entry.next_change = None;
                entry.wakeup.notify_one();
            }
        }
        now
    }
}

impl Heartbeats {
    /// Compares times once a second, and saves the jobs after changes. Never returns.
    pub async fn keep_time(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut saving: Option<JoinHandle<()>> = None;
        loop {
            ticks.tick().await;
            // Not awaited: a disk may hang.
            if self.tick() && saving.as_ref().is_none_or(JoinHandle::is_finished) {
                let heartbeats = self.clone();
                saving = Some(tokio::task::spawn_blocking(move || {
                    // The error was logged, and the next tick retries.
                    let _ = heartbeats.save();
                }));
            }
        }
    }

    /// Requests the runs of jobs whose assessment changes now. Returns whether the file must be written.
    pub(super) fn tick(&self) -> bool {
        let mut state = self.state();
        let now = state.observe(&*self.0.clock);
        state.away.tick(now);
        for entry in state.jobs.values_mut() {
            if entry.next_change.is_some_and(|change| change <= now) {
                entry.next_change = None;
                entry.wakeup.notify_one();
            }
        }
        let is_old = !state.jobs.is_empty() && now.since(state.saved_at) >= REFRESH;
        state.needs_saving |= is_old;
        state.needs_saving && self.0.file.is_some()
    }

    /// Saves the jobs at the end of the exporter.
    pub fn flush(&self) {
        {
            let mut state = self.state();
            let now = self.0.clock.now();
            state.away.tick(now);
            state.needs_saving |= !state.jobs.is_empty();
        }
        // The error was logged.
        let _ = self.save();
    }

    /// Writes the file if the jobs changed, and waits for the disk.
    ///
    /// # Errors
    /// If writing fails. The first failure is logged.
    pub(super) fn save(&self) -> Result<(), SaveError> {
        let Some(file) = &self.0.file else {
            return Ok(());
        };
        let file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let text = {
            let mut state = self.state();
            // Before the first configuration, the file has the jobs, and the state does not.
            if !std::mem::take(&mut state.needs_saving) {
                return Ok(());
            }
            state.saved_at = self.0.clock.now();
            let jobs = state.jobs.iter().map(|(id, entry)| (id, &entry.job));
            encode(jobs, &state.away, state.wall)
        };
        let result = text.map_err(SaveError::from).and_then(|text| file.write(&text));
        let was_saved = self.0.is_saved.swap(result.is_ok(), Ordering::AcqRel);
        if let Err(error) = &result {
            self.state().needs_saving = true;
            if was_saved {
                warn!(%error, "saving the heartbeats failed; after a restart, beats are missing until a retry succeeds");
            }
        }
        result
    }
}
