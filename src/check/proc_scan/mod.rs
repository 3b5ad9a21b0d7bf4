//! The scanner of /proc that all process checks share. It has a thread of its own, since reading a command line can
//! block in the kernel for as long as the process looked at holds the lock of its memory. Then runs of process checks reach
//! their deadlines, and the next ones are served by another thread, which leaves that command line alone.

mod criteria;
mod facts;
mod files;
mod kin;
mod parse;
mod progress;
mod queue;
mod scan;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use tokio::sync::oneshot;

pub use criteria::Criteria;
pub use parse::SoftLimit;
pub use scan::{Found, Identity, Process, Survey};

use progress::Progress;
use queue::{Queue, Request};
use scan::{Buffers, scan};

/// Scans one /proc. Clones share the thread, which starts with the first request and ends with the last clone.
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

/// What a scan found for one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What meets the request's criteria.
    pub found: Found,
    /// What the scan saw besides, shared by all whom it answered.
    pub survey: Arc<Survey>,
}

/// Why there was no scan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// /proc can't be opened or listed.
    #[error("listing the processes in {}: {cause}; a procfs mounted there, readable by the exporter, is needed", path.display())]
    List {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        cause: Errno,
    },
    /// There is a directory, but no process in it.
    #[error("{} lists no process; a procfs mounted there is needed", path.display())]
    Empty {
        /// Where it should be.
        path: PathBuf,
    },
    /// The thread could not be started.
    #[error("starting the thread that scans /proc: {cause}; is the limit of tasks or memory reached?")]
    Thread {
        /// What the system said.
        cause: Errno,
    },
    /// The scan panicked.
    #[error("the scan of /proc panicked; this is a defect of the exporter")]
    Panicked,
}

impl Scanner {
    /// A scanner of the /proc mounted at `root`. Nothing is read yet.
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

    /// What a scan that begins after this call finds. Requests made within a few milliseconds share one scan.
    /// Dropping the future withdraws the request.
    ///
    /// # Errors
    /// See [`ScanError`].
    pub async fn scan(&self, criteria: Arc<Criteria>) -> Result<Answer, ScanError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Request { criteria, reply })?;
        answer.await.unwrap_or(Err(ScanError::Panicked))
    }

    /// The process that is being read now: where a scan that does not come to its end has got stuck.
    pub fn current_process(&self) -> Option<i32> {
        self.queue.current_process()
    }

    /// How many scans were begun.
    pub fn scans(&self) -> u64 {
        self.queue.scans.load(Ordering::Relaxed)
    }
}

/// Scans the /proc at `root` here and now, for each of `wanted`. This blocks: it is for measuring and for tools.
///
/// # Errors
/// See [`ScanError`].
pub fn scan_blocking(root: &Path, wanted: &[&Criteria]) -> Result<(Vec<Found>, Survey), ScanError> {
    checked_scan(root, wanted, &[], &Progress::default(), &mut Buffers::default())
}

fn checked_scan(
    root: &Path,
    wanted: &[&Criteria],
    avoided: &[i32],
    progress: &Progress,
    buffers: &mut Buffers,
) -> Result<(Vec<Found>, Survey), ScanError> {
    let path = || root.to_path_buf();
    match scan(root, wanted, avoided, progress, buffers) {
        Err(cause) => Err(ScanError::List { path: path(), cause }),
        Ok((found, survey)) if survey.processes.is_empty() && found.iter().all(|one| one.unknown == 0) => {
            // Of a real /proc the exporter sees at least itself.
            let own = root.join("self").symlink_metadata().is_ok();
            if own {
                Ok((found, survey))
            } else {
                Err(ScanError::Empty { path: path() })
            }
        }
        Ok(complete) => Ok(complete),
    }
}

/// Reads what files below /proc hold: the name of a process, which is what its owner wishes, and its limit of open files.
/// For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(bytes: &[u8]) -> (Option<&[u8]>, bool, usize) {
    let name = parse::Stat::parse(bytes).map(|stat| stat.name);
    let length = parse::join_arguments(&mut bytes.to_vec());
    (name, parse::max_open_files(bytes).is_some(), length)
}
