//! The scanner of /proc that all process checks share. It has its own thread, because reading a command line can block in
//! the kernel as long as that process holds its memory lock. Runs of process checks then time out. Another thread serves
//! the next runs and does not read that command line.

mod criteria;
mod error;
mod facts;
mod files;
mod own_command;
mod parse;
mod progress;
mod queue;
mod scan;
mod texts;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

pub use criteria::Criteria;
pub(super) use criteria::MatchResult;
pub use error::ScanError;
pub(super) use files::{ProcRoot, ProcessPath, has_ended};
pub use parse::SoftLimit;
pub use scan::{Identity, Matches, Process, ScanResult, Survey};

use progress::Progress;
use queue::{Queue, Request};
use scan::scan;
use texts::Buffers;
use worker::Worker;

/// Scans one /proc. Clones share the thread. It starts with the first request and ends with the last clone.
#[derive(Clone, Debug)]
pub struct Scanner {
    queue: Arc<Queue>,
    _owner: Arc<Owner>,
}

/// Ends the thread when the last clone is dropped.
#[derive(Debug)]
struct Owner(Arc<Queue>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Scanner {
    /// Creates a scanner of the /proc mounted at `root`. Reads nothing yet.
    pub fn new(root: PathBuf) -> Self {
        let queue = Arc::new(Queue::new(root));
        Self {
            _owner: Arc::new(Owner(Arc::clone(&queue))),
            queue,
        }
    }

    /// Where /proc is mounted.
    pub fn root(&self) -> &Path {
        &self.queue.root
    }

    /// Returns the result of a scan that begins after this call. Requests within a few milliseconds share one scan.
    /// Dropping the future cancels the request.
    ///
    /// # Errors
    /// See [`ScanError`].
    pub async fn scan(&self, criteria: Arc<Criteria>) -> Result<ScanResult, ScanError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { criteria, reply };
        self.queue.push(request, || Worker::start(&self.queue))?;
        answer.await.unwrap_or(Err(ScanError::Panicked))
    }

    /// The process that is being read. A stuck scan is stuck at this process.
    pub fn current_process(&self) -> Option<i32> {
        self.queue.current_process()
    }

    /// How many scans have started.
    pub fn scans(&self) -> u64 {
        self.queue.scans.load(Ordering::Relaxed)
    }
}

/// Scans the /proc at `root` for all of `wanted`. Blocks the thread; for benchmarks and tools.
///
/// # Errors
/// See [`ScanError`].
pub fn scan_blocking(root: &Path, wanted: &[&Criteria]) -> Result<(Vec<Matches>, Survey), ScanError> {
    scan(root, wanted, &[], &Progress::default(), &mut Buffers::default())
}

/// Parses `bytes` as files below /proc: the name of a process, which its owner can choose, and its limit of open files. For
/// tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> (Option<&[u8]>, bool, usize) {
    let name = parse::Stat::parse(bytes).map(|stat| stat.name);
    let length = parse::join_arguments(&mut bytes.to_vec());
    (name, parse::max_open_files(bytes).is_some(), length)
}
