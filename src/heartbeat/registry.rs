//! The jobs of all heartbeat checks: receives their beats, and assesses them for their checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::debug;

use super::assess::{Assessment, Now, Rules, assess};
use super::away::AwayTimes;
use super::file::JobsFile;
use super::job::{Beat, Job};
use super::limit::BeatLimit;
use super::messages;
use super::token::{TokenHash, TokenHasher, TokenTable};
use super::view::view;
use crate::config::heartbeat::{HeartbeatSettings, Reference, read_token};
use crate::config::{Config, KindSettings};
use crate::model::{BeatKind, CheckId, Clock, JobView, Moment, Scrubber, SystemClock, WallAnchor};
use crate::state_dir::StateDir;

/// Why a beat is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No check has the token, or several have it.
    UnknownToken,
    /// There were too many beats. The next one is allowed after this time.
    RateLimit(Duration),
}

/// A beat that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    id: CheckId,
    number: u64,
}

/// What a run of a check finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The job at the moment of the run.
    pub assessment: Assessment,
    /// What people see of it.
    pub view: JobView,
    /// The run time of the last run that finished.
    pub last_run_time: Option<Duration>,
    /// The last exit status.
    pub exit_status: Option<u8>,
    /// How many beats arrived, in the order of [`BeatKind::ALL`].
    pub counts: [u64; BeatKind::ALL.len()],
    /// Another check with the same token.
    pub twin: Option<CheckId>,
    /// Whether the beats of the job arrive here. They don't in the command `check`.
    pub is_received: bool,
}

/// The jobs of all heartbeat checks. A clone shares them.
#[derive(Clone)]
pub struct Heartbeats(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) clock: Arc<dyn Clock>,
    hasher: TokenHasher,
    state: Mutex<State>,
    /// Locked for a write, before the state, which must not be locked while a disk hangs.
    pub(super) file: Option<Mutex<JobsFile>>,
    /// Whether the last write succeeded.
    pub(super) is_saved: AtomicBool,
    /// Refused requests: unknown tokens, and too many.
    refused: [AtomicU64; 2],
}

pub(super) struct State {
    pub(super) jobs: BTreeMap<CheckId, Entry>,
    tokens: TokenTable,
    /// The jobs of an earlier process, until the first configuration.
    saved: BTreeMap<CheckId, Job>,
    pub(super) away: AwayTimes,
    pub(super) wall: WallAnchor,
    pub(super) needs_saving: bool,
    pub(super) saved_at: Moment,
}

pub(super) struct Entry {
    pub(super) job: Job,
    rules: Rules,
    limit: BeatLimit,
    /// Requests a run of the check.
    pub(super) wakeup: Arc<Notify>,
    /// When the next run must be requested, because the assessment changes.
    pub(super) next_change: Option<Moment>,
}

impl State {
    fn reference(&self, at: Moment) -> Reference {
        Reference {
            at,
            wall: self.wall.nanos(at),
        }
    }

    fn stored_bytes(&self) -> usize {
        let beats = self.jobs.values().flat_map(|entry| &entry.job.beats);
        beats.map(|stored| stored.message.len()).sum()
    }
}

/// Jobs in memory only, for checks outside of a running exporter.
impl Default for Heartbeats {
    fn default() -> Self {
        Self::open(Arc::new(SystemClock::new()), None).0
    }
}

impl Heartbeats {
    /// Creates the registry with the jobs that are saved in `state_dir`. Also returns a warning for the operator.
    pub fn open(clock: Arc<dyn Clock>, state_dir: Option<Arc<StateDir>>) -> (Self, Option<String>) {
        let (wall, now) = (WallAnchor::new(&*clock), clock.now());
        let (file, mut saved, warning) = match state_dir {
            Some(dir) => {
                let (file, saved, warning) = JobsFile::open(dir, wall, now);
                (Some(Mutex::new(file)), saved, warning)
            }
            None => (None, super::file::SavedJobs::default(), None),
        };
        saved.away.start(now);
        let inner = Inner {
            clock,
            hasher: TokenHasher::new(),
            state: Mutex::new(State {
                jobs: BTreeMap::new(),
                tokens: TokenTable::default(),
                saved: saved.jobs,
                away: saved.away,
                wall,
                needs_saving: false,
                saved_at: now,
            }),
            file,
            is_saved: AtomicBool::new(true),
            refused: Default::default(),
        };
        (Self(Arc::new(inner)), warning)
    }

    /// Applies a configuration, at the start and on reload. Jobs keep their state, except removed ones.
    pub fn apply(&self, config: &Config) {
        // Before the lock: a file may be on a file system that hangs.
        let configured: Vec<_> = settings(config)
            .filter_map(|settings| Some((settings.id.clone()?, settings)))
            .map(|(id, settings)| (id, Rules::new(settings), self.hash_of(settings)))
            .collect();
        let mut state = self.state();
        let now = self.0.clock.now();
        let mut old = std::mem::take(&mut state.jobs);
        let mut saved = std::mem::take(&mut state.saved);
        for (id, rules, hash) in configured {
            let entry = match old.remove(&id) {
                Some(entry) => Entry { rules, ..entry },
                None => {
                    let first_seen = state.reference(now);
                    Entry {
                        job: saved.remove(&id).unwrap_or_else(|| Job::new(first_seen)),
                        rules,
                        limit: BeatLimit::new(now),
                        wakeup: Arc::default(),
                        next_change: None,
                    }
                }
            };
            if let Some(hash) = hash {
                state.tokens.set(&id, hash);
            }
            state.jobs.insert(id, entry);
        }
        for id in old.keys() {
            state.tokens.remove(id);
        }
        state.needs_saving |= !(old.is_empty() && saved.is_empty() && state.jobs.is_empty());
    }

    /// The hash of the current token. `None` if it can't be read, which the run of the check reports.
    fn hash_of(&self, settings: &HeartbeatSettings) -> Option<TokenHash> {
        let token = read_token(&settings.token).ok()?;
        Some(self.0.hasher.hash(token.unhidden()))
    }

    /// Records a beat with this token. It counts from now on, before its text is complete.
    ///
    /// # Errors
    /// If no job has the token, or the job sent too many beats.
    pub fn receive(&self, token: &str, beat: Beat) -> Result<Accepted, Refusal> {
        let hash = self.0.hasher.hash(token);
        let mut state = self.state();
        let Some(id) = state.tokens.find(hash).cloned() else {
            drop(state);
            self.count_refused(Refusal::UnknownToken);
            return Err(Refusal::UnknownToken);
        };
        let now = state.observe(&*self.0.clock);
        let reference = state.reference(now);
        let Some(entry) = state.jobs.get_mut(&id) else {
            return Err(Refusal::UnknownToken);
        };
        if let Err(wait) = entry.limit.take(now) {
            drop(state);
            self.count_refused(Refusal::RateLimit(wait));
            return Err(Refusal::RateLimit(wait));
        }
        let (kind, exit_status) = (beat.kind, beat.exit_status);
        let number = entry.job.record(beat, reference, entry.rules.run_limit());
        entry.wakeup.notify_one();
        state.needs_saving = true;
        drop(state);
        debug!(check = %id, kind = kind.as_str(), exit_status, "received a beat");
        Ok(Accepted { id, number })
    }

    /// Adds the text of a beat that counts already. Tokens in it are hidden.
    pub fn add_message(&self, accepted: &Accepted, token: &str, text: &[u8]) {
        let text = messages::decode(text);
        if text.is_empty() {
            return;
        }
        let scrubber = Scrubber::new(std::iter::once(token), "");
        let text = scrubber.scrub(&text);
        let mut state = self.state();
        let mut text = state.tokens.hide(&text, &self.0.hasher);
        messages::fit(&mut text, state.stored_bytes());
        if let Some(entry) = state.jobs.get_mut(&accepted.id)
            && entry.job.set_message(accepted.number, text)
        {
            entry.wakeup.notify_one();
            state.needs_saving = true;
        }
    }

    /// Counts a refused request.
    pub fn count_refused(&self, refusal: Refusal) {
        let at = match refusal {
            Refusal::UnknownToken => 0,
            Refusal::RateLimit(_) => 1,
        };
        if let Some(count) = self.0.refused.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refused requests since the exporter started, by reason. `None` without jobs.
    pub fn refused(&self) -> Option<Vec<(&'static str, u64)>> {
        if self.state().jobs.is_empty() {
            return None;
        }
        let counts = self.0.refused.iter().map(|count| count.load(Ordering::Relaxed));
        Some(["unknown_token", "rate_limit"].into_iter().zip(counts).collect())
    }

    /// Assesses the job of a check. `token` is the current token of the check, if it can be read; otherwise the last one stays in use.
    pub fn evaluate(&self, settings: &HeartbeatSettings, token: Option<&str>) -> Evaluation {
        let hash = token.map(|token| self.0.hasher.hash(token));
        let mut state = self.state();
        let id = settings.id.as_ref().filter(|id| state.jobs.contains_key(*id));
        let now = match id {
            Some(_) => state.observe(&*self.0.clock),
            // Nothing keeps time for checks outside of a running exporter.
            None => {
                state.wall.update(&*self.0.clock);
                self.0.clock.now()
            }
        };
        if let (Some(id), Some(hash)) = (id, hash) {
            state.tokens.set(id, hash);
        }
        let twin = id.and_then(|id| state.tokens.twin(id)).cloned();
        let fresh;
        let job = match id.and_then(|id| state.jobs.get(id)) {
            Some(entry) => &entry.job,
            // The check does not run in the exporter that receives the beats.
            None => {
                fresh = Job::new(state.reference(now));
                &fresh
            }
        };
        let moment = Now {
            at: now,
            wall: state.wall,
            away: &state.away,
        };
        let assessment = assess(job, &Rules::new(settings), moment);
        let evaluation = Evaluation {
            view: view(job, &assessment, state.wall),
            last_run_time: job.last_run_time,
            exit_status: job.exit_status,
            counts: job.counts,
            twin,
            is_received: id.is_some(),
            assessment,
        };
        if let Some(entry) = id.and_then(|id| state.jobs.get_mut(id)) {
            entry.next_change = evaluation.assessment.next_change;
        }
        evaluation
    }

    /// Notified when the check of the job should run.
    pub fn wakeup(&self, id: &CheckId) -> Option<Arc<Notify>> {
        self.state().jobs.get(id).map(|entry| Arc::clone(&entry.wakeup))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of the heartbeat checks.
fn settings(config: &Config) -> impl Iterator<Item = &HeartbeatSettings> {
    let checks = config.services.iter().flat_map(|service| &service.checks);
    checks.filter_map(|check| match &check.kind {
        KindSettings::Heartbeat(settings) => Some(&**settings),
        _ => None,
    })
}

impl std::fmt::Debug for Heartbeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeats").finish_non_exhaustive()
    }
}
