//! The scanner of local sockets that all port checks share. Requests within a few milliseconds share one scan. It runs in its
//! own thread, because searching the descriptors of all processes takes time. The thread ends when no request waits.

mod cgroup;
mod error;
mod holders;
mod listing;
mod message;
mod netlink;
mod port_set;
mod proc_net;
mod scan;
mod socket;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

pub use cgroup::{is_in_unit, unit};
pub use error::PortScanError;
pub use holders::{Coverage, MAX_HOLDERS};
pub use port_set::PortSet;
pub use scan::{Answer, Detail, Question, Survey};
pub use socket::{HeldSocket, Holder, Socket};

use self::scan::{Memory, scan};
use crate::config::port::Protocol;

/// How long the thread waits after the first request for others of the same tick. One scan then serves all of them.
const GATHER: Duration = Duration::from_millis(2);

/// Scans the sockets of the exporter's network namespace. Clones share the work.
#[derive(Clone)]
pub struct PortScanner {
    shared: Arc<Shared>,
}

struct Shared {
    procfs: PathBuf,
    scans: AtomicU64,
    state: Mutex<State>,
    /// Used by one thread at a time.
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Request>,
    /// Whether a thread serves the requests.
    is_served: bool,
}

struct Request {
    question: Question,
    reply: oneshot::Sender<Result<Answer, PortScanError>>,
}

impl PortScanner {
    /// Creates a scanner that finds processes in the /proc mounted at `procfs`. Reads nothing yet.
    pub fn new(procfs: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                procfs,
                scans: AtomicU64::new(0),
                state: Mutex::default(),
                memory: Mutex::default(),
            }),
        }
    }

    /// Returns the result of a scan that begins after this call. Dropping the future cancels the request.
    ///
    /// # Errors
    /// See [`PortScanError`].
    pub async fn ask(&self, question: Question) -> Result<Answer, PortScanError> {
        let (reply, answer) = oneshot::channel();
        self.push(Request { question, reply })?;
        answer.await.unwrap_or(Err(PortScanError::Panicked))
    }

    /// How many scans have started.
    pub fn scans(&self) -> u64 {
        self.shared.scans.load(Ordering::Relaxed)
    }

    /// Adds a request, and starts a thread if none runs.
    fn push(&self, request: Request) -> Result<(), PortScanError> {
        let mut state = self.shared.lock();
        if !state.is_served {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name("port-scan".to_owned())
                .spawn(move || Server(shared).serve())
                .map_err(|cause| PortScanError::Thread {
                    cause: Arc::new(cause),
                })?;
            state.is_served = true;
        }
        state.waiting.push(request);
        Ok(())
    }
}

impl fmt::Debug for PortScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortScanner").finish_non_exhaustive()
    }
}

impl Shared {
    /// Locks the state. A poisoned lock is used: the state is consistent after every statement.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the requests for the next scan, without cancelled ones. Without any, the thread ends.
    fn take(&self) -> Vec<Request> {
        let mut state = self.lock();
        let mut batch = std::mem::take(&mut state.waiting);
        batch.retain(|request| !request.reply.is_closed());
        state.is_served = !batch.is_empty();
        batch
    }
}

/// The work of the thread. If it panics, the waiting requests are dropped, which their runs report. The next request starts
/// another thread.
struct Server(Arc<Shared>);

impl Server {
    fn serve(self) {
        loop {
            thread::sleep(GATHER);
            let batch = self.0.take();
            if batch.is_empty() {
                return;
            }
            self.0.scans.fetch_add(1, Ordering::Relaxed);
            let questions: Vec<Question> = batch.iter().map(|request| request.question).collect();
            let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let result = scan(&self.0.procfs, &questions, &mut memory);
            drop(memory);
            match result {
                Ok(answers) => {
                    for (request, answer) in batch.into_iter().zip(answers) {
                        // Fails only if the run was cancelled.
                        let _ = request.reply.send(Ok(answer));
                    }
                }
                Err(error) => {
                    for request in batch {
                        let _ = request.reply.send(Err(error.clone()));
                    }
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.lock();
            state.is_served = false;
            state.waiting.clear();
        }
    }
}

/// Scans once for all of `questions`. Blocks the thread; for benchmarks and tools.
///
/// # Errors
/// See [`PortScanError`].
pub fn scan_blocking(procfs: &Path, questions: &[Question]) -> Result<Vec<Answer>, PortScanError> {
    scan(procfs, questions, &mut Memory::default())
}

/// Parses `bytes` as a response of sock_diag, as a file of /proc/net and as a file `/proc/PID/cgroup`. Returns the numbers of
/// sockets, and whether there is a control group. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> (usize, usize, bool) {
    let (mut sockets, mut lines) = (0, 0);
    // What was parsed before an error counts.
    let _ = message::parse(bytes, Protocol::Tcp, |_| sockets += 1);
    let _ = proc_net::parse(bytes, Protocol::Udp, |_| lines += 1);
    (sockets, lines, cgroup::parse_path(bytes).is_some())
}
