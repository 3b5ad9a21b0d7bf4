//! Rounds of runs: all checks at the same time, each with its own deadline, up to a limit.

mod report;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use report::report;

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

/// The resources that several [`Rounds`] share. Cheap to clone.
#[derive(Clone)]
pub struct RoundResources {
    clock: Arc<dyn Clock>,
    context: CheckContext,
    limit: Arc<Semaphore>,
}

impl RoundResources {
    /// Resources of checks that find /proc mounted at `procfs`.
    pub fn new(procfs: PathBuf) -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            context: CheckContext::new(procfs),
            limit: Arc::new(Semaphore::new(max_runs())),
        }
    }
}

/// The checks of a configuration. They are reused in every round, so that connections stay open and growth between two runs can be
/// measured.
pub struct Rounds {
    config: Config,
    resources: RoundResources,
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

/// A round in progress. Dropping it cancels its runs.
pub struct Round {
    store: Arc<Store>,
    names: Vec<String>,
    runs: JoinSet<FinishedRun>,
    /// Measures lost time until the end of the round.
    _timer: JoinSet<()>,
}

/// A finished run.
pub struct FinishedRun {
    /// The check.
    pub id: CheckId,
    /// Its settings.
    pub settings: Arc<CheckSettings>,
    /// Its result.
    pub outcome: Outcome,
    /// The steps of the run, if requested.
    pub debug_log: Option<DebugLog>,
    handle: CheckHandle,
    check: Option<Check>,
    run: Run,
}

impl Rounds {
    /// Prepares rounds of the checks in `config`.
    pub fn new(config: Config, resources: RoundResources, is_debug: bool) -> Self {
        Self {
            config,
            resources,
            checks: HashMap::new(),
            lost: Arc::default(),
            is_debug,
        }
    }

    /// Starts to run every check once. Each round is judged on its own: one failure is enough, because debouncing is for alerts.
    pub fn start(&mut self) -> Result<Round, StateDirError> {
        let clock = &self.resources.clock;
        let (store, _) = Store::open(Arc::clone(clock), None)?;
        // Without a state directory, it has the windows of the configuration only.
        let (maintenance, _) = Manager::open(Arc::clone(&store), Arc::clone(clock), None);
        maintenance.apply(&self.config);
        store.apply(&self.config);
        let mut timer = JoinSet::new();
        timer.spawn(measure_lost_time(Arc::clone(&self.lost)));
        let (mut runs, mut names) = (JoinSet::new(), Vec::new());
        for (id, handle, settings) in store.handles() {
            names.push(id.to_string());
            runs.spawn(self.run(id, handle, settings));
        }
        Ok(Round {
            store,
            names,
            runs,
            _timer: timer,
        })
    }

    /// Records a finished run, and keeps its check for the next round.
    pub fn record(&mut self, round: &Round, ended: FinishedRun) {
        self.checks.insert(ended.id, ended.check);
        round.store.record(ended.handle, ended.run, ended.outcome, 0);
    }

    /// Runs every check once, and returns the results.
    pub async fn run_once(&mut self) -> Result<StatusReport, StateDirError> {
        let mut round = self.start()?;
        while let Some(ended) = round.next().await {
            self.record(&round, ended);
        }
        Ok(round.report())
    }

    fn run(
        &mut self,
        id: CheckId,
        handle: CheckHandle,
        settings: Arc<CheckSettings>,
    ) -> impl Future<Output = FinishedRun> + Send + use<> {
        let mut check = self.checks.remove(&id).flatten();
        let RoundResources {
            context,
            clock,
            limit,
        } = self.resources.clone();
        let (is_debug, lost) = (self.is_debug, Arc::clone(&self.lost));
        async move {
            // The semaphore is never closed.
            let _permit = limit.acquire().await;
            let started = Instant::now();
            let attempt = Attempt {
                kind: &settings.kind,
                started,
                certificate: settings.certificate,
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

impl Round {
    /// The names of the checks.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Waits for the next run that ends; `None` after the last one.
    pub async fn next(&mut self) -> Option<FinishedRun> {
        loop {
            // Panics of checks are caught, so a task fails only if the runtime shuts down.
            if let Ok(ended) = self.runs.join_next().await? {
                return Some(ended);
            }
        }
    }

    /// The results so far.
    pub fn report(&self) -> StatusReport {
        report(&self.store.snapshot())
    }
}
