//! The requests that wait for the next scan, and which thread serves them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::criteria::Criteria;
use super::progress::Progress;
use super::worker::Worker;
use super::{Answer, ScanError};

/// From how many waiting requests on those that were withdrawn are looked for.
const PRUNE_FROM: usize = 64;

/// How long reading one process may take before it counts as stuck; it takes some 10 microseconds.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// The most threads that may be stuck at a time; then no other is started, and runs end at their deadlines.
const MAX_STUCK_THREADS: usize = 4;

/// A request for what the next scan finds.
#[derive(Debug)]
pub struct Request {
    pub criteria: Arc<Criteria>,
    pub reply: oneshot::Sender<Result<Answer, ScanError>>,
}

/// What the scanner's handles and its thread share.
#[derive(Debug)]
pub struct Queue {
    pub root: PathBuf,
    /// Scans begun.
    pub scans: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Request>,
    /// At how many waiting requests withdrawn ones are next looked for: while a scan is stuck, checks come again and
    /// again, and each leaves a request behind.
    prune_at: usize,
    /// The progress of the thread that serves the queue.
    serving: Option<Arc<Progress>>,
    /// Threads that got stuck and were replaced, with the process that each is stuck at. It comes to itself when the
    /// kernel lets go; until then that process's command line is not read.
    stuck: Vec<(Arc<Progress>, i32)>,
    is_closed: bool,
}

impl Queue {
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            scans: AtomicU64::new(0),
            state: Mutex::new(State {
                prune_at: PRUNE_FROM,
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a request, and starts a thread where there is none, or only one that is stuck.
    pub fn push(self: &Arc<Self>, request: Request) -> Result<(), ScanError> {
        let mut state = self.lock();
        state.set_stuck_aside();
        if state.serving.is_none() {
            state.serving = Some(self.start_worker()?);
        }
        if state.waiting.len() >= state.prune_at {
            state.waiting.retain(|waiting| !waiting.reply.is_closed());
            state.prune_at = PRUNE_FROM.max(state.waiting.len() * 2);
        }
        state.waiting.push(request);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Makes the thread end.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The process that is being read.
    pub fn current_process(&self) -> Option<i32> {
        self.lock().serving.as_ref()?.process()
    }

    /// Blocks until there is a request (true) or the thread whose progress is `mine` is no longer wanted (false).
    pub fn wait_for_request(&self, mine: &Arc<Progress>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.wants(mine) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wants(mine)
    }

    /// The requests to be served by the next scan, withdrawn ones left out, and the processes to be avoided. None
    /// for a thread that is no longer wanted.
    pub fn take(&self, mine: &Arc<Progress>) -> (Vec<Request>, Vec<i32>) {
        let mut state = self.lock();
        if !state.wants(mine) {
            return (Vec::new(), Vec::new());
        }
        let mut batch = std::mem::take(&mut state.waiting);
        batch.retain(|request| !request.reply.is_closed());
        if !batch.is_empty() {
            self.scans.fetch_add(1, Ordering::Relaxed);
        }
        (batch, state.stuck.iter().map(|(_, process)| *process).collect())
    }

    /// Forgets a thread that ends.
    pub fn retire(&self, mine: &Arc<Progress>) {
        self.lock()
            .stuck
            .retain(|(progress, _)| !Arc::ptr_eq(progress, mine));
    }

    /// The state is consistent between any two statements that change it, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_worker(self: &Arc<Self>) -> Result<Arc<Progress>, ScanError> {
        let progress = Arc::new(Progress::default());
        let worker = Worker {
            queue: Arc::clone(self),
            progress: Arc::clone(&progress),
        };
        match thread::Builder::new()
            .name("proc-scan".to_owned())
            .spawn(|| worker.serve())
        {
            Ok(_) => Ok(progress),
            Err(error) => Err(ScanError::Thread {
                cause: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
            }),
        }
    }
}

impl State {
    fn wants(&self, progress: &Arc<Progress>) -> bool {
        !self.is_closed
            && self
                .serving
                .as_ref()
                .is_some_and(|serving| Arc::ptr_eq(serving, progress))
    }

    /// Leaves a thread that is stuck to itself, so that another can do its work without touching what it is stuck at.
    /// One process that the kernel keeps from being read thus takes no other service's check with it.
    fn set_stuck_aside(&mut self) {
        let Some(process) = self
            .serving
            .as_ref()
            .and_then(|serving| serving.stuck_at(STUCK_AFTER))
        else {
            return;
        };
        if self.stuck.len() < MAX_STUCK_THREADS {
            let aside = self.serving.take().map(|serving| (serving, process));
            self.stuck.extend(aside);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::check::proc_scan::Scanner;

    fn request() -> (Request, oneshot::Receiver<Result<Answer, ScanError>>) {
        let (reply, answer) = oneshot::channel();
        let criteria = Arc::default();
        (Request { criteria, reply }, answer)
    }

    #[test]
    fn withdrawn_requests_do_not_pile_up() {
        let queue = Arc::new(Queue::new("/proc".into()));
        // As if its thread were stuck.
        queue.lock().serving = Some(Arc::default());
        let mut waiting = Vec::new();
        for number in 0..10_000 {
            let (request, answer) = request();
            queue.push(request).unwrap();
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
            thread::sleep(Duration::from_millis(1));
        }
    }
}
