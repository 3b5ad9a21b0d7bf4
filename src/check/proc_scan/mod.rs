//! The scanner of /proc that all process checks share. It has its own thread, because reading a command line can block in
//! the kernel as long as that process holds its memory lock. Runs of process checks then time out. Another thread serves
//! the next runs and does not read that command line.

mod criteria;
mod error;
mod facts;
mod files;
mod limits;
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
pub use files::{ProcRoot, ProcessPath, has_ended};
pub use parse::{Identity, SoftLimit, Stat, join_arguments, max_open_files};
pub use progress::Progress;
pub use queue::{Queue, Waiting};
pub use scan::{Matches, Process, ScanResult, Survey};
pub use texts::Buffers;
pub use worker::{Batch, Worker};

use queue::Request;
use scan::scan;

/// Scans one /proc. Clones share the thread. It starts with the first request and ends with the last clone.
#[derive(Clone, Debug)]
pub struct Scanner {
    queue: Arc<Queue<Request>>,
    _owner: Arc<Owner>,
}

/// Ends the thread when the last clone is dropped.
#[derive(Debug)]
struct Owner(Arc<Queue<Request>>);

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

    /// Returns the result of a scan that begins after this call. Requests in quick succession share one scan.
    /// Dropping the future cancels the request.
    ///
    /// # Errors
    /// See [`ScanError`].
    pub async fn scan(&self, criteria: Arc<Criteria>) -> Result<ScanResult, ScanError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { criteria, reply };
        let root = self.queue.root.clone();
        let start = || Worker::start(&self.queue, "proc-scan", move |batch| serve(&root, batch));
        self.queue.push(request, start)?;
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

/// Scans the /proc at `root` once for all requests of a batch.
fn serve(root: &Path, batch: Batch<'_, Request>) {
    let criteria = batch.requests.iter().map(|request| &*request.criteria);
    let wanted: Vec<&Criteria> = criteria.collect();
    match scan(root, &wanted, batch.avoided, batch.progress, batch.buffers) {
        Ok((found, survey)) => {
            let survey = Arc::new(survey);
            for (request, found) in batch.requests.into_iter().zip(found) {
                let survey = Arc::clone(&survey);
                // Fails only if the run was cancelled.
                let _ = request.reply.send(Ok(ScanResult { found, survey }));
            }
        }
        Err(error) => {
            for request in batch.requests {
                let _ = request.reply.send(Err(error.clone()));
            }
        }
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
    let name = Stat::parse(bytes).map(|stat| stat.name);
    let length = join_arguments(&mut bytes.to_vec());
    (name, max_open_files(bytes).is_some(), length)
}
