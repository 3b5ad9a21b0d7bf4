//! Passes the output of a job through, and keeps its end.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::beat::MAX_MESSAGE_BYTES;
use super::tail::Tail;

/// The size of a read: the size of a pipe on Linux (pipe(7)).
const CHUNK_BYTES: usize = 64 << 10;

/// How long both pipes must be empty after the end of the job until the rest of its processes counts as silent.
const SILENCE: Duration = Duration::from_millis(200);

/// The time between two looks at the copies, and between two attempts to write to a full output that does not block.
const POLL: Duration = Duration::from_millis(5);

/// The copies of standard output and standard error.
pub struct OutputCopies {
    tail: Arc<Mutex<Tail>>,
    copies: [Arc<Progress>; 2],
}

/// The pipes of a job that has not started yet.
pub struct JobPipes {
    /// Its standard output and its standard error.
    pub writers: [PipeWriter; 2],
    readers: [PipeReader; 2],
}

/// What a copy does.
#[derive(Default)]
struct Progress {
    bytes: AtomicU64,
    is_reading: AtomicBool,
    has_ended: AtomicBool,
}

impl JobPipes {
    /// Creates the pipes.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn new() -> io::Result<Self> {
        let (out, for_out) = io::pipe()?;
        let (errors, for_errors) = io::pipe()?;
        Ok(Self {
            writers: [for_out, for_errors],
            readers: [out, errors],
        })
    }

    /// Starts to copy, in threads: a reader of the output may be slow.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn copy(self) -> io::Result<OutputCopies> {
        let outputs = [
            io::stdout().as_fd().try_clone_to_owned()?,
            io::stderr().as_fd().try_clone_to_owned()?,
        ];
        let tail = Arc::new(Mutex::new(Tail::new(MAX_MESSAGE_BYTES)));
        let copies: [Arc<Progress>; 2] = Default::default();
        for ((from, to), progress) in self.readers.into_iter().zip(outputs).zip(&copies) {
            let (tail, progress) = (Arc::clone(&tail), Arc::clone(progress));
            thread::Builder::new().name("output".to_owned()).spawn(move || {
                copy(from, to, &tail, &progress);
                progress.has_ended.store(true, Ordering::Release);
            })?;
        }
        Ok(OutputCopies { tail, copies })
    }
}

impl OutputCopies {
    /// Waits until everything that the job wrote before its end is copied, at most for `limit`. Processes that the job left behind
    /// may still have its output open, so there may be no end of file.
    pub async fn drain(&self, limit: Option<Duration>) {
        let started = Instant::now();
        let (mut seen, mut since) = (self.position(), started);
        while seen.is_some() && limit.is_none_or(|limit| started.elapsed() < limit) {
            sleep(POLL).await;
            let position = self.position();
            if position != seen || !self.are_reading() {
                (seen, since) = (position, Instant::now());
            } else if since.elapsed() >= SILENCE {
                return;
            }
        }
    }

    /// The end of both outputs, in the order in which they were read.
    pub fn tail(&self) -> Vec<u8> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).to_vec()
    }

    /// How much was copied; `None` if both copies have ended.
    fn position(&self) -> Option<u64> {
        let has_ended = |copy: &Arc<Progress>| copy.has_ended.load(Ordering::Acquire);
        (!self.copies.iter().all(has_ended)).then(|| {
            self.copies
                .iter()
                .map(|copy| copy.bytes.load(Ordering::Acquire))
                .sum()
        })
    }

    /// Whether each copy waits for input, and none for the reader of the output.
    fn are_reading(&self) -> bool {
        let is_waiting = |copy: &Arc<Progress>| {
            copy.is_reading.load(Ordering::Acquire) || copy.has_ended.load(Ordering::Acquire)
        };
        self.copies.iter().all(is_waiting)
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
        progress.bytes.fetch_add(read.len() as u64, Ordering::AcqRel);
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
