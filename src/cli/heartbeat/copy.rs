//! Passes the output of a job through, and keeps its end.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::beat::MAX_MESSAGE_BYTES;
use super::tail::Tail;

/// The size of a read: the size of a pipe on Linux (pipe(7)).
const CHUNK_BYTES: usize = 64 << 10;

/// The most chunks that a pipe holds: its largest size without privileges (pipe-max-size, pipe(7)) is 1 MiB.
const MAX_PIPE_CHUNKS: u64 = 16;

/// How long a pipe must be empty after the end of the job until the rest of its processes counts as silent.
const SILENCE: Duration = Duration::from_millis(200);

/// The time between two looks at the copies, and between two attempts to write to a full output that does not block.
const POLL: Duration = Duration::from_millis(5);

/// The copies of standard output and standard error.
pub struct OutputCopies {
    tail: Arc<Mutex<Tail>>,
    copies: [Arc<Progress>; 2],
}

/// Standard output and standard error of a job that has not started yet.
pub type JobPipes = [PipeWriter; 2];

/// What a copy does.
#[derive(Default)]
struct Progress {
    chunks: AtomicU64,
    is_reading: AtomicBool,
    has_ended: AtomicBool,
}

impl OutputCopies {
    /// Starts to copy what a job will write, in threads: a reader of the output may be slow. The copies end when all writers are closed.
    ///
    /// # Errors
    /// When there are too many open files, or a thread can't be started.
    pub fn start() -> io::Result<(JobPipes, Self)> {
        let (out, for_out) = io::pipe()?;
        let (errors, for_errors) = io::pipe()?;
        let outputs = [
            io::stdout().as_fd().try_clone_to_owned()?,
            io::stderr().as_fd().try_clone_to_owned()?,
        ];
        let tail = Arc::new(Mutex::new(Tail::new(MAX_MESSAGE_BYTES)));
        let copies: [Arc<Progress>; 2] = Default::default();
        for ((from, to), progress) in [out, errors].into_iter().zip(outputs).zip(&copies) {
            let (tail, progress) = (Arc::clone(&tail), Arc::clone(progress));
            thread::Builder::new().name("output".to_owned()).spawn(move || {
                copy(from, to, &tail, &progress);
                progress.has_ended.store(true, Ordering::Release);
            })?;
        }
        Ok(([for_out, for_errors], Self { tail, copies }))
    }

    /// Waits until everything that the job wrote before its end is copied, at most for `limit`. Processes that the job left behind
    /// may still have its output open, so there may be no end of file. They may also write for ever.
    pub async fn drain(&self, limit: Option<Duration>) {
        let [out, errors] = &self.copies;
        let both = async {
            tokio::join!(out.drain(), errors.drain());
        };
        match limit {
            // The rest is copied later.
            Some(limit) => {
                let _ = timeout(limit, both).await;
            }
            None => both.await,
        }
    }

    /// The end of both outputs, in the order in which they were read.
    pub fn tail(&self) -> Vec<u8> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).to_vec()
    }
}

impl Progress {
    /// Waits until everything that was in the pipe is copied.
    async fn drain(&self) {
        let first = self.chunks.load(Ordering::Acquire);
        let (mut seen, mut since) = (first, Instant::now());
        // One more than the pipe holds: a chunk may be under way.
        while !self.has_ended.load(Ordering::Acquire) && seen - first <= MAX_PIPE_CHUNKS {
            sleep(POLL).await;
            let chunks = self.chunks.load(Ordering::Acquire);
            // A copy that does not read waits for the reader of the output.
            if chunks != seen || !self.is_reading.load(Ordering::Acquire) {
                (seen, since) = (chunks, Instant::now());
            } else if since.elapsed() >= SILENCE {
                return;
            }
        }
    }
}

fn copy(mut from: PipeReader, to: OwnedFd, tail: &Mutex<Tail>, progress: &Progress) {
    // Not `Stdout`, which searches everything for line breaks.
    let mut to = Some(File::from(to));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        progress.is_reading.store(true, Ordering::Release);
        let read = match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => &chunk[..count],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        progress.is_reading.store(false, Ordering::Release);
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        if let Some(output) = &mut to
            && let Err(error) = write(output, read)
        {
            // The reader is gone: close the pipe, so that the job gets SIGPIPE as without this command.
            if error.kind() == ErrorKind::BrokenPipe {
                return;
            }
            // Such as a full disk. The job must not fail, so the rest is read and not written.
            to = None;
        }
        progress.chunks.fetch_add(1, Ordering::AcqRel);
    }
}

/// Writes everything, also to a pipe that another process has set to not block.
fn write(to: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(POLL),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
