//! Process groups: metrics of processes by name, as process-exporter serves them (`/metrics/processes`).
//!
//! A scrape scans /proc once. `sweep` names new processes by the rules and reads those that belong to a group; `tracker`
//! records the result, so that counters never fall; `samples` renders it. Scans have a thread of their own, like those of
//! process checks, because reading a process can block in the kernel. A scan at the start makes counters begin there.

mod ancestry;
mod counts;
mod families;
mod group;
mod known;
mod matcher;
mod parse;
mod reader;
mod reading;
mod samples;
mod sweep;
mod tracked;
mod tracker;
mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::check::proc_scan::{Batch, ProcRoot, Queue, ScanError, Waiting, Worker};
use crate::config::process_groups::ProcessGroupSettings;
use crate::log_throttle::LogThrottle;
use crate::metrics;
use samples::{samples, samples_without_groups};
use sweep::Scan;
use tracker::{Limits, Tracker};

/// How long a scrape waits for its scan. Prometheus gives up after 10 s by default, and no later than after its scrape interval.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How often a waiting scrape looks whether the scan is stuck at a process.
const STUCK_CHECK: Duration = Duration::from_millis(250);

/// Why there are no metrics of processes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// No groups are configured.
    #[error(
        "no process groups are configured; add process_groups to the configuration, or use --process.config"
    )]
    NotConfigured,
    /// The scan could not run.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// The scan is stuck.
    #[error("scanning /proc takes longer than {} s; a process may be stuck in the kernel", MAX_WAIT.as_secs())]
    Timeout,
}

/// Scans one /proc for the groups of one configuration.
#[derive(Debug)]
pub struct ProcessGroups {
    queue: Arc<Queue<Request>>,
    active: Mutex<Option<Arc<Active>>>,
}

/// The groups of a configuration. They start again when their settings change.
#[derive(Debug)]
struct Active {
    settings: Arc<ProcessGroupSettings>,
    tracker: Mutex<Tracker>,
    failures: LogThrottle,
}

/// A request for the metrics after the next scan.
#[derive(Debug)]
struct Request {
    active: Arc<Active>,
    /// `None` for the scan at the start, whose metrics nobody needs.
    reply: Option<oneshot::Sender<Arc<String>>>,
}

impl Waiting for Request {
    fn is_cancelled(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

impl Drop for ProcessGroups {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl ProcessGroups {
    /// Creates a scanner of the /proc mounted at `root`, without groups. Reads nothing yet.
    pub fn new(root: PathBuf) -> Self {
        Self {
            queue: Arc::new(Queue::new(root)),
            active: Mutex::new(None),
        }
    }

    /// Replaces the settings. If they changed, all groups start again, and a scan sets the values that counters begin with.
    pub fn apply(&self, settings: Option<&Arc<ProcessGroupSettings>>) {
        let mut active = lock(&self.active);
        if active.as_ref().map(|active| &active.settings) == settings {
            return;
        }
        *active = settings.map(|settings| {
            Arc::new(Active {
                settings: Arc::clone(settings),
                tracker: Mutex::new(Tracker::new(settings.switches, Limits::default())),
                failures: LogThrottle::default(),
            })
        });
        if let Some(active) = &*active {
            let request = Request {
                active: Arc::clone(active),
                reply: None,
            };
            if let Err(error) = self.push(request) {
                warn!(%error, "the first scan for process groups failed; their counters begin with the next one");
            }
        }
    }

    /// Whether groups are configured.
    pub fn is_configured(&self) -> bool {
        lock(&self.active).is_some()
    }

    /// Scans /proc and returns the metrics in the classic text format. Scrapes in quick succession share a scan.
    ///
    /// # Errors
    /// If no groups are configured, or the scan can't run or does not end.
    pub async fn collect(&self) -> Result<Arc<String>, CollectError> {
        let active = lock(&self.active).clone().ok_or(CollectError::NotConfigured)?;
        let deadline = Instant::now() + MAX_WAIT;
        let mut answer = self.request(&active)?;
        while Instant::now() < deadline {
            match timeout(STUCK_CHECK, &mut answer).await {
                Ok(Ok(text)) => return Ok(text),
                Ok(Err(_)) => return Err(ScanError::Panicked.into()),
                // Another thread takes over. It does not read the memory of the process where this one is stuck.
                Err(_) if self.queue.is_stuck() => answer = self.request(&active)?,
                Err(_) => {}
            }
        }
        Err(CollectError::Timeout)
    }

    fn request(&self, active: &Arc<Active>) -> Result<oneshot::Receiver<Arc<String>>, ScanError> {
        let (reply, answer) = oneshot::channel();
        self.push(Request {
            active: Arc::clone(active),
            reply: Some(reply),
        })?;
        Ok(answer)
    }

    fn push(&self, request: Request) -> Result<(), ScanError> {
        let root = self.queue.root.clone();
        let start = || Worker::start(&self.queue, "process-groups", move |batch| serve(&root, batch));
        self.queue.push(request, start)
    }
}

/// Scans once for the requests of a batch. They differ in their groups only while a configuration is reloaded.
fn serve(root: &Path, batch: Batch<'_, Request>) {
    let Batch {
        mut requests,
        avoided,
        progress,
        buffers,
    } = batch;
    while let Some(first) = requests.first() {
        let active = Arc::clone(&first.active);
        let known = lock(&active.tracker).known();
        let scan = Scan {
            settings: &active.settings,
            known: &known,
            avoided,
            progress,
        };
        let result = ProcRoot::open(root).and_then(|root| scan.run(&root, buffers));
        let mut tracker = lock(&active.tracker);
        let samples = match result {
            Ok(sweep) => {
                tracker.record(sweep);
                samples(&tracker)
            }
            Err(cause) => {
                let path = root.to_path_buf();
                if let Some(suppressed) = active.failures.allow() {
                    warn!(error = %ScanError::List { path, cause }, suppressed, "the scan for process groups failed");
                }
                tracker.record_failure();
                samples_without_groups(&tracker)
            }
        };
        drop(tracker);
        let text = Arc::new(metrics::probe_text(&samples));
        requests.retain_mut(|request| {
            let is_served = Arc::ptr_eq(&request.active, &active);
            if let (true, Some(reply)) = (is_served, request.reply.take()) {
                // Fails only if the scrape was cancelled.
                let _ = reply.send(Arc::clone(&text));
            }
            !is_served
        });
    }
}

/// Locks a value. A poisoned lock is used: a panic while a scan was recorded can only make sums incomplete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses `bytes` as files of a process, and as a file of process-exporter. Returns the control groups, and the number of rules.
/// For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> (Vec<String>, Option<usize>) {
    parse::status(bytes);
    parse::io(bytes);
    parse::smaps(bytes);
    parse::wait_channel(bytes);
    let rules = crate::config::process_names_file::parse(bytes, "x");
    (parse::cgroups(bytes), rules.ok().map(|(rules, _)| rules.len()))
}

#[cfg(test)]
mod tests;
