//! Reads that may block in the kernel for as long as it likes, such as those of a network file system whose server is gone.
//!
//! Every path is read by a thread of its own, so that it delays no other path, no other check, and not the end of the process. While
//! a read is in progress, all requests for its path wait for it. So a path that hangs holds one thread, however many runs, checks
//! and reloads there are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, oneshot};

use crate::model::{Problem, Reason, Shortage};
use crate::net::shortage;

/// The maximum number of reads in progress. A read takes microseconds unless it hangs, so more than this means that a server with
/// many file systems is gone.
const MAX_THREADS: usize = 64;

/// The stack of a thread, in bytes. Reads parse small files.
const STACK_BYTES: usize = 256 * 1024;

/// Reads of one kind of value. Clones share the threads.
#[derive(Debug)]
pub struct SharedReads<T> {
    reads: Arc<Reads<T>>,
    /// The turns of reads by the runtime's threads. `None` if each read has a thread of its own.
    turns: Option<Arc<Semaphore>>,
}

/// The requests that wait for each path that is being read.
#[derive(Debug)]
struct Reads<T>(Mutex<HashMap<PathBuf, Vec<oneshot::Sender<T>>>>);

impl<T> Clone for SharedReads<T> {
    fn clone(&self) -> Self {
        Self {
            reads: Arc::clone(&self.reads),
            turns: self.turns.clone(),
        }
    }
}

impl<T> Default for SharedReads<T> {
    fn default() -> Self {
        Self {
            reads: Arc::new(Reads(Mutex::default())),
            turns: None,
        }
    }
}

impl<T> SharedReads<T> {
    /// Reads by the runtime's threads for blocking work. For frequent reads: starting a thread costs as much as reading some files. When
    /// many checks read at once, such as after a reconnection, more than [`MAX_THREADS`] reads wait for their turn and do not fail.
    pub fn pooled() -> Self {
        Self {
            turns: Some(Arc::new(Semaphore::new(MAX_THREADS))),
            ..Self::default()
        }
    }
}

impl<T: Clone + Send + 'static> SharedReads<T> {
    /// Returns what `read` returns for `path`, or what a read of this path that is in progress returns. Dropping the future stops
    /// only the waiting.
    ///
    /// # Errors
    /// A shortage if no thread can be started. `internal` if `read` panics.
    pub async fn get(
        &self,
        path: &Path,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        // It is never closed.
        let permit = match &self.turns {
            Some(turns) => Arc::clone(turns).acquire_owned().await.ok(),
            None => None,
        };
        if self.reads.wait(path, reply)? {
            // Created before the thread: if that can't be started, the next request tries again.
            let turn = Turn {
                reads: Arc::clone(&self.reads),
                path: path.to_owned(),
                is_finished: false,
            };
            let read_in_thread = move || {
                let value = read(&turn.path);
                turn.finish(&value);
                drop(permit);
            };
            if self.turns.is_some() {
                // Its handle is not needed: the answer arrives over the channel.
                drop(tokio::task::spawn_blocking(read_in_thread));
                return Self::receive(path, answer).await;
            }
            let thread = thread::Builder::new()
                .name("shared-read".to_owned())
                .stack_size(STACK_BYTES);
            if let Err(error) = thread.spawn(read_in_thread) {
                let message = format_args!("starting a thread that reads {}: {error}", path.display());
                return Err(Problem::from_shortage(
                    shortage::from_thread_error(&error),
                    message,
                ));
            }
        } else {
            // Only the read needs a turn, not those that wait for it.
            drop(permit);
        }
        Self::receive(path, answer).await
    }

    async fn receive(path: &Path, answer: oneshot::Receiver<T>) -> Result<T, Problem> {
        answer.await.map_err(|_| {
            let message = format_args!(
                "reading {} failed inside the exporter; see its log",
                path.display()
            );
            Problem::new(Reason::Internal, message)
        })
    }
}

impl<T> Reads<T> {
    /// Adds a request. Returns whether a thread must be started for it.
    fn wait(&self, path: &Path, reply: oneshot::Sender<T>) -> Result<bool, Problem> {
        let mut reads = self.lock();
        let count = reads.len();
        if let Some(waiting) = reads.get_mut(path) {
            // Runs that timed out no longer wait.
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push(reply);
            return Ok(false);
        }
        if count >= MAX_THREADS {
            let message = format_args!(
                "reading {}: {count} other reads hang, so no thread is left for it",
                path.display()
            );
            return Err(Problem::from_shortage(Shortage::Threads, message));
        }
        reads.insert(path.to_owned(), vec![reply]);
        Ok(true)
    }

    /// A poisoned lock is used: the state is consistent after every statement.
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<oneshot::Sender<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The read of one path. When it is finished or dropped, the next request reads the path again.
struct Turn<T> {
    reads: Arc<Reads<T>>,
    path: PathBuf,
    is_finished: bool,
}

impl<T: Clone> Turn<T> {
    fn finish(mut self, value: &T) {
        let waiting = self.reads.lock().remove(&self.path);
        self.is_finished = true;
        for reply in waiting.into_iter().flatten() {
            // Fails only if the run was cancelled.
            let _ = reply.send(value.clone());
        }
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        // After the end of a read, requests for the path belong to another one.
        if !self.is_finished {
            self.reads.lock().remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    static READS: AtomicUsize = AtomicUsize::new(0);
    static IS_OPEN: Mutex<bool> = Mutex::new(false);
    static OPENED: Condvar = Condvar::new();

    /// Blocks as long as the gate is closed, if the path says so.
    fn read(path: &Path) -> usize {
        if path.ends_with("hangs") {
            let is_open = IS_OPEN.lock().unwrap();
            drop(OPENED.wait_while(is_open, |is_open| !*is_open));
        }
        assert!(!path.ends_with("panics"), "on purpose");
        READS.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[tokio::test]
    async fn a_path_that_hangs_holds_one_thread_and_delays_no_other_path() {
        let reads = SharedReads::<usize>::default();
        let path = Path::new("/hangs");
        for _ in 0..200 {
            let run = tokio::time::timeout(Duration::from_millis(1), reads.get(path, read));
            assert!(run.await.is_err(), "the gate is closed");
        }
        assert_eq!(reads.reads.lock().len(), 1);
        assert!(
            reads.reads.lock()[path].len() <= 2,
            "cancelled requests are removed"
        );
        assert_eq!(reads.get(Path::new("/works"), read).await, Ok(1));
        let waiting = [reads.clone(), reads.clone()].map(|reads| {
            // The requests wait from now on.
            tokio::spawn(async move { reads.get(Path::new("/hangs"), read).await })
        });
        while reads.reads.lock()[path]
            .iter()
            .filter(|reply| !reply.is_closed())
            .count()
            < 2
        {
            tokio::task::yield_now().await;
        }
        *IS_OPEN.lock().unwrap() = true;
        OPENED.notify_all();
        for request in waiting {
            assert_eq!(request.await.unwrap(), Ok(2), "one read serves both");
        }
        assert!(reads.reads.lock().is_empty());
        assert_eq!(reads.get(path, read).await, Ok(3), "the next request reads again");

        let problem = reads.get(Path::new("/panics"), read).await.unwrap_err();
        assert_eq!(problem.reason, Reason::Internal);
        assert!(reads.reads.lock().is_empty());
    }

    #[tokio::test]
    async fn threads_of_the_runtime_read_as_well() {
        let reads = SharedReads::<usize>::pooled();
        let length = |path: &Path| path.as_os_str().len();
        assert_eq!(reads.get(Path::new("/abc"), length).await, Ok(4));
        let problem = reads
            .clone()
            .get(Path::new("/panics"), |_| panic!("on purpose"))
            .await;
        assert_eq!(problem.unwrap_err().reason, Reason::Internal);
        assert!(reads.reads.lock().is_empty());
    }

    #[tokio::test]
    async fn many_reads_at_once_wait_for_their_turn() {
        let reads = SharedReads::<usize>::pooled();
        let requests = (0..4 * MAX_THREADS).map(|number| {
            let reads = reads.clone();
            tokio::spawn(async move {
                let path = PathBuf::from(format!("/{number}"));
                let read = move |_: &Path| {
                    thread::sleep(Duration::from_millis(50));
                    number
                };
                (number, reads.get(&path, read).await)
            })
        });
        for request in requests.collect::<Vec<_>>() {
            let (number, result) = request.await.unwrap();
            assert_eq!(result, Ok(number));
        }
    }

    /// As if its thread could not be started.
    #[test]
    fn a_read_that_does_not_begin_blocks_no_later_one() {
        let reads = SharedReads::<usize>::default().reads;
        let path = Path::new("/path");
        let request = || reads.wait(path, oneshot::channel().0);
        let turn = || Turn {
            reads: Arc::clone(&reads),
            path: path.to_owned(),
            is_finished: false,
        };
        assert_eq!(request(), Ok(true));
        drop(turn());
        assert_eq!(request(), Ok(true), "another thread is started");
        drop(turn());
    }

    /// A value whose copy requests the same path again, as a run does that has just received it.
    struct Requesting(Option<Arc<Reads<Self>>>);

    impl Clone for Requesting {
        fn clone(&self) -> Self {
            let reads = self.0.as_ref().expect("it is copied once");
            assert_eq!(reads.wait(Path::new("/path"), oneshot::channel().0), Ok(true));
            Self(None)
        }
    }

    #[test]
    fn the_end_of_a_read_does_not_end_the_next_one() {
        let reads = SharedReads::<Requesting>::default().reads;
        let (reply, answer) = oneshot::channel();
        assert_eq!(reads.wait(Path::new("/path"), reply), Ok(true));
        let turn = Turn {
            reads: Arc::clone(&reads),
            path: "/path".into(),
            is_finished: false,
        };
        turn.finish(&Requesting(Some(Arc::clone(&reads))));
        assert!(answer.blocking_recv().is_ok());
        assert_eq!(reads.lock().len(), 1, "the next read is in progress");
    }

    #[tokio::test]
    async fn the_number_of_threads_is_limited() {
        let reads = SharedReads::<usize>::default();
        for number in 0..MAX_THREADS {
            let (reply, _) = oneshot::channel();
            assert_eq!(
                reads.reads.wait(Path::new(&format!("/{number}")), reply),
                Ok(true)
            );
        }
        let problem = reads.get(Path::new("/other"), read).await.unwrap_err();
        assert_eq!(problem.shortage, Some(Shortage::Threads));
    }
}
