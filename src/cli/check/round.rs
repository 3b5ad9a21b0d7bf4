//! Rounds of runs: all checks at the same time, each under its own deadline, but only so many at once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::debug;
use super::judged::judged;
use super::progress::Progress;
use crate::check::{Check, Shared};
use crate::cli::show::Document;
use crate::config::{CheckSettings, Config};
use crate::model::{CheckId, Clock, DebugLog, LostTime, Outcome, SystemClock};
use crate::runner::{Attempt, DeadlinePolicy};
use crate::schedule::measure_lost_time;
use crate::store::{CheckHandle, Run, StateDirError, Store};

/// How many runs are under way at once, at most.
const MAX_AT_ONCE: usize = 256;
/// How many files and sockets a run may hold, and how many the rest of the process does: where the system allows few, fewer
/// runs are under way.
const FILES_OF_A_RUN: u64 = 3;
const FILES_OF_THE_REST: u64 = 32;

/// The checks of a configuration, kept from round to round with what they keep themselves: a connection does not cost a
/// login each round, and what grows between two runs can be told.
pub struct Rounds {
    config: Config,
    clock: Arc<dyn Clock>,
    shared: Shared,
    limit: Arc<Semaphore>,
    kept: HashMap<CheckId, Option<Check>>,
    is_debugging: bool,
    /// The time that the process loses.
    lost: Arc<LostTime>,
}

/// How many runs may be under way.
fn at_once() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let runs = files.saturating_sub(FILES_OF_THE_REST) / FILES_OF_A_RUN;
    usize::try_from(runs).map_or(MAX_AT_ONCE, |runs| runs.clamp(1, MAX_AT_ONCE))
}

/// A run that ended.
struct Ended {
    id: CheckId,
    handle: CheckHandle,
    settings: Arc<CheckSettings>,
    check: Option<Check>,
    run: Run,
    outcome: Outcome,
    debug_log: Option<DebugLog>,
}

impl Rounds {
    /// No round yet.
    pub fn new(config: Config, procfs: PathBuf, is_debugging: bool) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock::new()),
            shared: Shared::new(procfs),
            limit: Arc::new(Semaphore::new(at_once())),
            kept: HashMap::new(),
            lost: Arc::default(),
            is_debugging,
        }
    }

    /// Runs every check once. Each round is judged by itself: how often a check has to fail before it counts is for those
    /// who are woken by it.
    pub async fn next(&mut self) -> Result<Document, StateDirError> {
        let (store, _) = Store::open(Arc::clone(&self.clock), None)?;
        store.apply(&self.config);
        let handles = store.handles();
        let mut progress = Progress::new(handles.iter().map(|(id, ..)| id.to_string()));
        // Ends with this round.
        let mut beats = JoinSet::new();
        beats.spawn(measure_lost_time(Arc::clone(&self.lost)));
        let mut runs = JoinSet::new();
        for (id, handle, settings) in handles {
            runs.spawn(self.run(id, handle, settings));
        }
        while let Some(ended) = progress.until(runs.join_next()).await {
            // Panics of checks are caught in the run, so it ended with a result unless the runtime ends.
            let Ok(ended) = ended else { continue };
            progress.ended(&ended.id.to_string());
            if self.is_debugging {
                let text = debug::run(
                    &ended.id,
                    &ended.settings,
                    &ended.outcome,
                    ended.debug_log.as_ref(),
                );
                progress.print(&text);
            }
            self.kept.insert(ended.id, ended.check);
            store.record(ended.handle, ended.run, ended.outcome, 0);
        }
        progress.end();
        Ok(judged(&store.snapshot()))
    }

    fn run(
        &mut self,
        id: CheckId,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
    ) -> impl Future<Output = Ended> + Send + use<> {
        let mut check = self.kept.remove(&id).flatten();
        let (shared, clock, limit) = (self.shared.clone(), self.clock.clone(), self.limit.clone());
        let (is_debugging, lost) = (self.is_debugging, Arc::clone(&self.lost));
        async move {
            // The semaphore is never closed.
            let _permit = limit.acquire().await;
            let started = Instant::now();
            let attempt = Attempt {
                kind: &settings.kind,
                started,
                timeout: settings.timeout,
                deadline_policy: DeadlinePolicy::Extend { discarded: 0 },
                lost: &lost,
                is_debug: is_debugging,
                is_probe: false,
            };
            let result = attempt.run(&mut check, || Check::new(&settings, &shared)).await;
            let run = Run {
                started: clock.moment(started),
                ended: clock.moment(Instant::now()),
            };
            Ended {
                id,
                handle,
                settings,
                check,
                run,
                outcome: result.outcome,
                debug_log: result.debug_log,
            }
        }
    }
}
