//! The threads that read files for runs. A file system can hang for hours, so a run never reads in its own task.
//!
//! A cancelled run makes its thread stop at the next file or step. A thread that hangs in one file stays until the kernel releases it.
//! The check starts no other thread until then, so a check has at most one such thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::files::{Files, Limits, Progress};
use super::read_error::ReadError;
use crate::model::{Problem, Reason, Report, Shortage};
use crate::net::shortage;

/// How many runs read at the same time. They use the processor and memory, which the other checks need.
const MAX_READERS: usize = 2;
/// How long before its deadline a run stops to wait for its turn. The run then reports that others took the time.
const MARGIN: Duration = Duration::from_millis(50);
/// The stack of a thread. The parsers nest at most 100 levels.
const STACK_BYTES: usize = 2 << 20;

/// The turns of all checks of one exporter. Clones share them.
#[derive(Clone, Debug)]
pub struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }
}

/// Reads files for the runs of one check.
#[derive(Debug)]
pub struct Reader {
    readers: Readers,
    limits: Limits,
    /// Alive while the thread of the last run is.
    last: Weak<Progress>,
}

impl Reader {
    /// A reader with these limits per run.
    pub fn new(readers: &Readers, limits: Limits) -> Self {
        Self {
            readers: readers.clone(),
            limits,
            last: Weak::new(),
        }
    }

    /// Does `work` on a thread. If this future is dropped, the report's step is the file that is read, and the work ends at the
    /// next file, or where it calls [`Files::proceed`] or [`Files::is_cancelled`].
    ///
    /// # Errors
    /// What prevents the work, and its own error as a problem.
    pub async fn read<T: Send + 'static>(
        &mut self,
        report: &mut Report,
        work: impl FnOnce(&mut Files) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        if let Some(progress) = self.last.upgrade() {
            let path = progress.path();
            let message = format!(
                "an earlier run is still reading {}: check whether its file system responds",
                path.display()
            );
            return Err(Problem::new(Reason::Timeout, message));
        }
        report.step = "waiting for other checks that read files".into();
        let readers = self.readers.clone();
        let _permit = readers.turn(report).await?;
        let progress = Arc::new(Progress::default());
        self.last = Arc::downgrade(&progress);
        let (reply, answer) = oneshot::channel();
        let mut files = Files::with_progress(self.limits, Arc::clone(&progress));
        let thread = std::thread::Builder::new()
            .name("file-reader".to_owned())
            .stack_size(STACK_BYTES);
        let started = thread.spawn(move || {
            let result = work(&mut files);
            // The reader is free before the run ends, so that the next run finds it so.
            drop(files);
            // Fails only if the run was cancelled.
            let _ = reply.send(result);
        });
        let _guard = RunGuard { report, progress };
        started.map_err(|error| {
            let message = format_args!("starting a thread that reads files: {error}");
            Problem::from_shortage(shortage::from_thread_error(&error), message)
        })?;
        match answer.await {
            Ok(result) => result.map_err(|error| error.problem()),
            Err(_) => Err(Problem::new(
                Reason::Internal,
                "comparing the dependencies panicked; see the log",
            )),
        }
    }
}

impl Readers {
    async fn turn(&self, report: &Report) -> Result<SemaphorePermit<'_>, Problem> {
        let no_turn = || {
            let message = "reading the dependencies: other checks read files until the deadline of this run";
            Problem::from_shortage(Shortage::Time, message)
        };
        let turn = self.0.acquire();
        let permit = match report.deadline.and_then(|deadline| deadline.checked_sub(MARGIN)) {
            Some(until) => tokio::time::timeout_at(until, turn)
                .await
                .map_err(|_| no_turn())?,
            None => turn.await,
        };
        permit.map_err(|_| no_turn())
    }
}

/// Ends the work if the run is cancelled, and sets the report's step to the file that is read.
struct RunGuard<'a> {
    report: &'a mut Report,
    progress: Arc<Progress>,
}

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        self.progress.is_cancelled.store(true, Ordering::Relaxed);
        self.report.step = format!("reading {}", self.progress.path().display()).into();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc;

    use super::*;

    const LIMITS: Limits = Limits {
        file_bytes: 100,
        total_bytes: 100,
        files: 100,
    };
    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_cancelled_run_names_its_file_and_blocks_no_other_check() {
        let readers = Readers::default();
        let (release, hold) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel::<bool>();
        let mut reader = Reader::new(&readers, LIMITS);
        let mut report = Report::default();
        let work = move |files: &mut Files| {
            files.exists(Path::new("/"))?;
            let _ = hold.recv();
            let next = files.exists(Path::new("/"));
            let _ = ended.send(next.as_ref().is_err_and(ReadError::ends_run));
            next
        };
        let run = reader.read(&mut report, work);
        assert!(tokio::time::timeout(SOON, run).await.is_err());
        assert_eq!(report.step, "reading /");

        let problem = reader.read(&mut report, |_| Ok(())).await.unwrap_err();
        assert_eq!(
            problem.to_string(),
            "timeout: an earlier run is still reading /: check whether its file system responds"
        );
        // Other checks still have all turns.
        for _ in 0..=MAX_READERS {
            let mut other = Reader::new(&readers, LIMITS);
            assert_eq!(other.read(&mut report, |_| Ok(7)).await, Ok(7));
        }
        release.send(()).unwrap();
        assert!(end.recv().unwrap(), "the work went on after its run");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while reader.read(&mut report, |_| Ok(())).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "the thread still runs");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn work_without_reads_ends_with_its_run() {
        let (ended, end) = mpsc::channel::<()>();
        let mut reader = Reader::new(&Readers::default(), LIMITS);
        let mut report = Report::default();
        let work = move |files: &mut Files| -> Result<(), ReadError> {
            while files.proceed(Path::new("/")).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = ended.send(());
            files.proceed(Path::new("/"))
        };
        let run = reader.read(&mut report, work);
        assert!(tokio::time::timeout(SOON, run).await.is_err());
        assert_eq!(end.recv_timeout(Duration::from_secs(20)), Ok(()));
    }

    #[tokio::test]
    async fn a_panic_fails_the_run() {
        let mut reader = Reader::new(&Readers::default(), LIMITS);
        let work = |_: &mut Files| -> Result<(), ReadError> { panic!("on purpose") };
        let problem = reader.read(&mut Report::default(), work).await.unwrap_err();
        assert_eq!((problem.reason, problem.shortage), (Reason::Internal, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_without_a_turn_is_inconclusive() {
        let readers = Readers::default();
        let _busy = readers.0.acquire_many(u32::try_from(MAX_READERS).unwrap()).await;
        let mut report = Report {
            deadline: Some(tokio::time::Instant::now() + Duration::from_secs(1)),
            ..Report::default()
        };
        let mut reader = Reader::new(&readers, LIMITS);
        let problem = reader.read(&mut report, |_| Ok(())).await.unwrap_err();
        assert_eq!(problem.shortage, Some(Shortage::Time));
    }
}
