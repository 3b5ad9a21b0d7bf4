//! The errors of a scan.

use std::path::PathBuf;

use rustix::io::Errno;

/// Why a scan failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// /proc can't be opened or listed.
    #[error("listing the processes in {}: {cause}; mount a procfs there that the exporter can read", path.display())]
    List {
        /// Where it should be mounted.
        path: PathBuf,
        /// The system's error.
        cause: Errno,
    },
    /// The directory contains no process.
    #[error("{} lists no process; mount a procfs there", path.display())]
    Empty {
        /// Where it should be mounted.
        path: PathBuf,
    },
    /// The thread could not be started.
    #[error("starting the thread that scans /proc: {cause}; check the limits of tasks and memory")]
    Thread {
        /// The system's error.
        cause: Errno,
    },
    /// The scan panicked.
    #[error("the scan of /proc panicked; this is a bug in the exporter")]
    Panicked,
}
