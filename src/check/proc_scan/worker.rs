//! The thread that scans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::criteria::Criteria;
use super::error::ScanError;
use super::progress::Progress;
use super::queue::{Queue, Request};
use super::scan::{ScanResult, scan};
use super::texts::Buffers;

/// How long the thread waits after the first request for others of the same tick. One scan then serves all of them.
const GATHER: Duration = Duration::from_millis(2);

/// Serves a queue until the queue is closed or another thread serves it.
pub struct Worker {
    queue: Arc<Queue>,
    progress: Arc<Progress>,
}

impl Worker {
    /// Starts a thread that serves `queue`, and returns its progress.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(queue: &Arc<Queue>) -> Result<Arc<Progress>, ScanError> {
        let progress = Arc::new(Progress::default());
        let worker = Self {
            queue: Arc::clone(queue),
            progress: Arc::clone(&progress),
        };
        let thread = thread::Builder::new().name("proc-scan".to_owned());
        match thread.spawn(|| worker.serve()) {
            Ok(_) => Ok(progress),
            Err(error) => Err(ScanError::Thread {
                cause: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
            }),
        }
    }

    fn serve(self) {
        let mut buffers = Buffers::default();
        while self.queue.wait_for_request(&self.progress) {
            thread::sleep(GATHER);
            let (batch, avoided) = self.queue.take(&self.progress);
            if batch.is_empty() {
                continue;
            }
            // If the scan panics, the batch is dropped. The waiting runs then report the panic.
            let scan = AssertUnwindSafe(|| self.serve_batch(batch, &avoided, &mut buffers));
            if catch_unwind(scan).is_err() {
                buffers = Buffers::default();
            }
            self.progress.leave();
        }
        self.queue.retire(&self.progress);
    }

    fn serve_batch(&self, batch: Vec<Request>, avoided: &[i32], buffers: &mut Buffers) {
        let wanted: Vec<&Criteria> = batch.iter().map(|request| &*request.criteria).collect();
        match scan(&self.queue.root, &wanted, avoided, &self.progress, buffers) {
            Ok((found, survey)) => {
                let survey = Arc::new(survey);
                for (request, found) in batch.into_iter().zip(found) {
                    let survey = Arc::clone(&survey);
                    // Fails only if the run was cancelled.
                    let _ = request.reply.send(Ok(ScanResult { found, survey }));
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
