//! The thread that scans.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::criteria::Criteria;
use super::progress::Progress;
use super::queue::{Queue, Request};
use super::scan::Buffers;
use super::{Answer, checked_scan};

/// How long the thread waits after a first request for others of the same tick, so that one scan serves all.
const GATHER: Duration = Duration::from_millis(2);

/// Serves a queue, until that is closed or served by another.
pub struct Worker {
    pub queue: Arc<Queue>,
    pub progress: Arc<Progress>,
}

impl Worker {
    /// What the thread does.
    pub fn serve(self) {
        let mut buffers = Buffers::default();
        while self.queue.wait_for_request(&self.progress) {
            thread::sleep(GATHER);
            let (batch, avoided) = self.queue.take(&self.progress);
            if batch.is_empty() {
                continue;
            }
            // Dropping the batch tells those who wait that the scan panicked.
            let scan = AssertUnwindSafe(|| self.answer(batch, &avoided, &mut buffers));
            if catch_unwind(scan).is_err() {
                buffers = Buffers::default();
            }
            self.progress.leave();
        }
        self.queue.retire(&self.progress);
    }

    fn answer(&self, batch: Vec<Request>, avoided: &[i32], buffers: &mut Buffers) {
        let wanted: Vec<&Criteria> = batch.iter().map(|request| &*request.criteria).collect();
        match checked_scan(&self.queue.root, &wanted, avoided, &self.progress, buffers) {
            Ok((found, survey)) => {
                let survey = Arc::new(survey);
                for (request, found) in batch.into_iter().zip(found) {
                    let survey = Arc::clone(&survey);
                    // Who no longer waits needs no answer.
                    let _ = request.reply.send(Ok(Answer { found, survey }));
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
