//! The thread that scans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::error::ScanError;
use super::progress::Progress;
use super::queue::{Queue, Waiting};
use super::texts::Buffers;

/// The thread waits for other requests of the same tick as long as one comes within this time. One scan then serves all of them.
const GAP: Duration = Duration::from_micros(500);

/// How often it waits at most, which is for 2 ms.
const MAX_GAPS: usize = 4;

/// The requests of one scan, and what the scan uses.
#[derive(Debug)]
pub struct Batch<'a, R> {
    /// The requests, at least one.
    pub requests: Vec<R>,
    /// Processes whose memory must not be read, because another thread is stuck there.
    pub avoided: &'a [i32],
    /// Where the thread records the process that it reads.
    pub progress: &'a Progress,
    /// Buffers that are reused from scan to scan.
    pub buffers: &'a mut Buffers,
}

/// Serves a queue until the queue is closed or another thread serves it.
pub struct Worker<R, S> {
    queue: Arc<Queue<R>>,
    progress: Arc<Progress>,
    serve: S,
}

impl<R: Waiting, S: Fn(Batch<'_, R>) + Send + 'static> Worker<R, S> {
    /// Starts a thread that serves `queue` by calling `serve`, and returns its progress.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(queue: &Arc<Queue<R>>, name: &str, serve: S) -> Result<Arc<Progress>, ScanError> {
        let progress = Arc::new(Progress::default());
        let worker = Self {
            queue: Arc::clone(queue),
            progress: Arc::clone(&progress),
            serve,
        };
        let thread = thread::Builder::new().name(name.to_owned());
        match thread.spawn(|| worker.run()) {
            Ok(_) => Ok(progress),
            Err(error) => Err(ScanError::Thread {
                cause: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
            }),
        }
    }

    fn run(self) {
        let mut buffers = Buffers::default();
        while self.queue.wait_for_request(&self.progress) {
            self.gather();
            let (requests, avoided) = self.queue.take(&self.progress);
            if requests.is_empty() {
                continue;
            }
            let batch = Batch {
                requests,
                avoided: &avoided,
                progress: &self.progress,
                buffers: &mut buffers,
            };
            // If the scan panics, the batch is dropped. The waiting runs then report the panic.
            if catch_unwind(AssertUnwindSafe(|| (self.serve)(batch))).is_err() {
                buffers = Buffers::default();
            }
            self.progress.leave();
        }
        self.queue.retire(&self.progress);
    }

    /// Waits until no further request comes. A check that is alone hardly waits.
    fn gather(&self) {
        let mut waiting = self.queue.waiting();
        for _ in 0..MAX_GAPS {
            thread::sleep(GAP);
            let before = waiting;
            waiting = self.queue.waiting();
            if waiting == before {
                return;
            }
        }
    }
}
