//! Waits for changes in directories, with inotify(7).

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tracing::warn;

/// The maximum number of directories to watch. The system has a limit too, by default of 8192 for all programs of a user.
const MAX_DIRECTORIES: usize = 1000;

/// The size of the buffer for events, in bytes. An event with the longest name takes 272.
const BUFFER_BYTES: usize = 8192;

/// The maximum number of events to skip at once.
const MAX_SKIPPED: usize = 10_000;

/// Watched directories.
pub struct Watches {
    events: AsyncFd<OwnedFd>,
    /// The identifiers of the watches.
    current: HashSet<i32>,
    /// A directory can't be watched, which was logged.
    is_warned: bool,
}

impl Watches {
    /// Creates an instance without directories.
    pub fn new() -> io::Result<Self> {
        let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "an OwnedFd always has the same descriptor; the replacement is unsafe, which this crate forbids"
        )]
        let events = AsyncFd::new(events)?;
        Ok(Self {
            events,
            current: HashSet::new(),
            is_warned: false,
        })
    }

    /// Watches these directories and no others. A directory that was replaced is watched again.
    pub fn set(&mut self, directories: &BTreeSet<PathBuf>) {
        let mut watched = HashSet::new();
        for directory in directories.iter().take(MAX_DIRECTORIES) {
            match self.add(directory) {
                Ok(watch) => drop(watched.insert(watch)),
                // It was removed meanwhile, which is an event.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) if !self.is_warned => {
                    self.is_warned = true;
                    let directory = directory.display();
                    warn!(%directory, %error, "watching the directory failed; changes are found later");
                }
                Err(_) => {}
            }
        }
        for old in self.current.difference(&watched) {
            // The watch of a removed directory has ended already.
            let _ = remove_watch(self.events.get_ref(), *old);
        }
        self.current = watched;
    }

    fn add(&self, directory: &Path) -> Result<i32, Errno> {
        // Not MODIFY: a file that is being written has not changed yet.
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        add_watch(self.events.get_ref(), directory, flags)
    }

    /// Waits for an event in any of the directories, and skips all events so far.
    pub async fn changed(&self) -> io::Result<()> {
        let mut guard = self.events.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(self.events.get_ref(), &mut buffer);
        for _ in 0..MAX_SKIPPED {
            match reader.next() {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    guard.clear_ready();
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
