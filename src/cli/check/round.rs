//! Rounds of runs: all checks at the same time, each with its own deadline, up to a limit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::debug::format_run;
use super::progress::Progress;
use super::report::report;
use crate::check::{Check, CheckContext};
use crate::cli::show::StatusReport;
use crate::config::{CheckSettings, Config};
use crate::maintenance::Manager;
use crate::model::{CheckId, Clock, DebugLog, LostTime, Outcome, SystemClock};
use crate::runner::{Attempt, DeadlinePolicy};
use crate::schedule::measure_lost_time;
use crate::store::{CheckHandle, Run, StateDirError, Store};

/// The maximum number of runs at the same time.
const MAX_RUNS: usize = 256;
/// How many descriptors a run may need. If the limit on open files is low, fewer runs are made at the same time.
const FILES_PER_RUN: u64 = 3;
/// How many descriptors the rest of the process needs.
const OTHER_FILES: u64 = 32;

/// The checks of a configuration. They are reused in every round, so that connections stay open and growth between two runs can be
/// measured.
pub struct Rounds {
    config: Config,
    clock: Arc<dyn Clock>,
    context: CheckContext,
    limit: Arc<Semaphore>,
    checks: HashMap<CheckId, Option<Check>>,
    is_debug: bool,
    /// The time that this process loses.
    lost: Arc<LostTime>,
}

/// How many runs may be made at the same time.
fn max_runs() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let runs = files.saturating_sub(OTHER_FILES) / FILES_PER_RUN;
    usize::try_from(runs).map_or(MAX_RUNS, |runs| runs.clamp(1, MAX_RUNS))
}

/// A finished run.
struct FinishedRun {
    id: CheckId,
    handle: CheckHandle,
    settings: Arc<CheckSettings>,
    check: Option<Check>,
    run: Run,
    outcome: Outcome,
    debug_log: Option<DebugLog>,
}

impl Rounds {
    /// Prepares rounds of the checks in `config`.
    pub fn new(config: Config, procfs: PathBuf, is_debug: bool) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock::new()),
            context: CheckContext::new(procfs),
            limit: Arc::new(Semaphore::new(max_runs())),
            checks: HashMap::new(),
            lost: Arc::default(),
            is_debug,
        }
    }

    /// Runs every check once. Each round is judged on its own: one failure is enough, because debouncing is for alerts.
    pub async fn next(&mut self) -> Result<StatusReport, StateDirError> {
        let (store, _) = Store::open(Arc::clone(&self.clock), None)?;
        // Without a state directory, it has the windows of the configuration only.
        let (maintenance, _) = Manager::open(Arc::clone(&store), Arc::clone(&self.clock), None);
        maintenance.apply(&self.config);
        store.apply(&self.config);
        let handles = store.handles();
        let mut progress = Progress::new(handles.iter().map(|(id, ..)| id.to_string()));
        // Stops at the end of the round.
        let mut timer = JoinSet::new();
        timer.spawn(measure_lost_time(Arc::clone(&self.lost)));
        let mut runs = JoinSet::new();
        for (id, handle, settings) in handles {
            runs.spawn(self.run(id, handle, settings));
        }
        while let Some(ended) = progress.wait_for(runs.join_next()).await {
            // Panics of checks are caught, so a task fails only if the runtime shuts down.
            let Ok(ended) = ended else { continue };
            progress.record_end(&ended.id.to_string());
            if self.is_debug {
                let text = format_run(
                    &ended.id,
                    &ended.settings,
                    &ended.outcome,
                    ended.debug_log.as_ref(),
                );
                progress.print(&text);
            }
            self.checks.insert(ended.id, ended.check);
            store.record(ended.handle, ended.run, ended.outcome, 0);
        }
        progress.clear();
        Ok(report(&store.snapshot()))
    }

    fn run(
        &mut self,
        id: CheckId,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
    ) -> impl Future<Output = FinishedRun> + Send + use<> {
        let mut check = self.checks.remove(&id).flatten();
        let (context, clock, limit) = (self.context.clone(), self.clock.clone(), self.limit.clone());
        let (is_debug, lost) = (self.is_debug, Arc::clone(&self.lost));
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
                is_debug,
                is_probe: false,
            };
            let result = attempt.run(&mut check, || Check::new(&settings, &context)).await;
            let run = Run {
                started: clock.moment(started),
                ended: clock.moment(Instant::now()),
            };
            FinishedRun {
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
