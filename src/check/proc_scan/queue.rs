//! The requests that wait for the next scan, and the thread that serves them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::criteria::Criteria;
use super::error::ScanError;
use super::progress::Progress;
use super::scan::ScanResult;

/// Cancelled requests are removed once at least this many requests wait.
const PRUNE_FROM: usize = 64;

/// How long reading one process may take before the thread counts as stuck. Usually it takes about 10 microseconds.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// How many threads may be stuck at the same time. Beyond that, no other thread is started and runs time out.
const MAX_STUCK_THREADS: usize = 4;

/// A request that waits for the next scan.
pub trait Waiting: Send + 'static {
    /// Whether nobody waits for its result any more.
    fn is_cancelled(&self) -> bool;
}

/// A request for the processes that match criteria.
#[derive(Debug)]
pub struct Request {
    pub criteria: Arc<Criteria>,
    pub reply: oneshot::Sender<Result<ScanResult, ScanError>>,
}

impl Waiting for Request {
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The state that the handles of a scanner and its thread share.
#[derive(Debug)]
pub struct Queue<R> {
    /// Where /proc is mounted.
    pub root: PathBuf,
    /// How many scans have started.
    pub scans: AtomicU64,
    state: Mutex<State<R>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<R> {
    waiting: Vec<R>,
    /// The number of waiting requests at which cancelled ones are removed next. While a scan is stuck, every run of a check
    /// leaves a request behind.
    prune_at: usize,
    /// The progress of the thread that serves the queue.
    serving: Option<Arc<Progress>>,
    /// Threads that got stuck and were replaced, each with the process that it reads. Such a thread continues when the kernel
    /// releases it. Until then, the process's command line is not read.
    stuck: Vec<(Arc<Progress>, i32)>,
    is_closed: bool,
}

impl<R: Waiting> Queue<R> {
    /// Creates a queue without a thread.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            scans: AtomicU64::new(0),
            state: Mutex::new(State {
                waiting: Vec::new(),
                prune_at: PRUNE_FROM,
                serving: None,
                stuck: Vec::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a request. Calls `start` to start a thread if there is none or if it is stuck.
    pub fn push(
        &self,
        request: R,
        start: impl FnOnce() -> Result<Arc<Progress>, ScanError>,
    ) -> Result<(), ScanError> {
        let mut state = self.lock();
        state.detach_stuck();
        if state.serving.is_none() {
            state.serving = Some(start()?);
        }
        if state.waiting.len() >= state.prune_at {
            state.waiting.retain(|waiting| !waiting.is_cancelled());
            state.prune_at = PRUNE_FROM.max(state.waiting.len() * 2);
        }
        state.waiting.push(request);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The process that is being read.
    pub fn current_process(&self) -> Option<i32> {
        self.lock().serving.as_ref()?.process()
    }

    /// Whether the next request starts another thread, because this one is stuck.
    pub fn is_stuck(&self) -> bool {
        let state = self.lock();
        let is_stuck = state
            .serving
            .as_ref()
            .is_some_and(|serving| serving.stuck_at(STUCK_AFTER).is_some());
        is_stuck && state.stuck.len() < MAX_STUCK_THREADS
    }

    /// Blocks until there is a request (true), or until the thread with the progress `mine` is no longer needed (false).
    pub fn wait_for_request(&self, mine: &Arc<Progress>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.is_served_by(mine) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_served_by(mine)
    }

    /// How many requests wait, with cancelled ones.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes the requests for the next scan, without cancelled ones, and the processes to avoid. Returns nothing to a thread
    /// that is no longer needed.
    pub fn take(&self, mine: &Arc<Progress>) -> (Vec<R>, Vec<i32>) {
        let mut state = self.lock();
        if !state.is_served_by(mine) {
            return (Vec::new(), Vec::new());
        }
        let mut batch = std::mem::take(&mut state.waiting);
        batch.retain(|request| !request.is_cancelled());
        if !batch.is_empty() {
            self.scans.fetch_add(1, Ordering::Relaxed);
        }
        (batch, state.stuck.iter().map(|(_, process)| *process).collect())
    }

    /// Removes a thread that ends.
    pub fn retire(&self, mine: &Arc<Progress>) {
        self.lock()
            .stuck
            .retain(|(progress, _)| !Arc::ptr_eq(progress, mine));
    }

    /// Locks the state. A poisoned lock is used: the state is consistent after every statement.
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> State<R> {
    /// Whether the thread with this progress serves the queue.
    fn is_served_by(&self, progress: &Arc<Progress>) -> bool {
        !self.is_closed
            && self
                .serving
                .as_ref()
                .is_some_and(|serving| Arc::ptr_eq(serving, progress))
    }

    /// Detaches a stuck thread, so that another one can take over and avoid the process that blocks. One process that can't
    /// be read does not break the checks of other services.
    fn detach_stuck(&mut self) {
        let Some(process) = self
            .serving
            .as_ref()
            .and_then(|serving| serving.stuck_at(STUCK_AFTER))
        else {
            return;
        };
        if self.stuck.len() < MAX_STUCK_THREADS {
            let stuck = self.serving.take().map(|serving| (serving, process));
            self.stuck.extend(stuck);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::check::proc_scan::Scanner;

    fn request() -> (Request, oneshot::Receiver<Result<ScanResult, ScanError>>) {
        let (reply, answer) = oneshot::channel();
        let criteria = Arc::default();
        (Request { criteria, reply }, answer)
    }

    #[test]
    fn cancelled_requests_do_not_pile_up() {
        let queue = Queue::new("/proc".into());
        // As if its thread were stuck.
        queue.lock().serving = Some(Arc::default());
        let mut waiting = Vec::new();
        for number in 0..10_000 {
            let (request, answer) = request();
            queue.push(request, || unreachable!()).unwrap();
            if number % 100 == 0 {
                waiting.push(answer);
            }
        }
        let length = queue.lock().waiting.len();
        assert!(
            (waiting.len()..=waiting.len() * 2 + 1).contains(&length),
            "{length}"
        );
        let mut state = queue.lock();
        state.waiting.retain(|request| !request.reply.is_closed());
        assert_eq!(state.waiting.len(), waiting.len());
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_last_handle() {
        let scanner = Scanner::new("/proc".into());
        let clone = scanner.clone();
        clone.scan(Arc::default()).await.unwrap();
        let queue = Arc::downgrade(&scanner.queue);
        drop(clone);
        scanner.scan(Arc::default()).await.unwrap();
        drop(scanner);
        let deadline = Instant::now() + Duration::from_secs(20);
        while queue.strong_count() > 0 {
            assert!(Instant::now() < deadline, "the thread still holds the queue");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
