//! The errors of a scan.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

/// Why a scan failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PortScanError {
    /// The sockets can't be listed, neither with sock_diag nor from /proc/net.
    #[error(
        "listing the sockets: sock_diag: {netlink}; {}: {cause}; allow AF_NETLINK (RestrictAddressFamilies=), or mount a procfs \
         there",
        path.display()
    )]
    List {
        /// The system's error for sock_diag.
        netlink: Errno,
        /// The directory that was read instead.
        path: PathBuf,
        /// The error for it.
        cause: Arc<io::Error>,
    },
    /// sock_diag failed because this process or machine lacks a resource.
    #[error("listing the sockets with sock_diag: {cause}")]
    Netlink {
        /// The system's error.
        cause: Errno,
    },
    /// /proc can't be opened or listed.
    #[error("searching the processes in {} for a socket: {cause}", path.display())]
    Processes {
        /// Where it should be mounted.
        path: PathBuf,
        /// The system's error.
        cause: Errno,
    },
    /// The thread could not be started.
    #[error("starting the thread that lists sockets: {cause}; check the limits of tasks and memory")]
    Thread {
        /// The system's error.
        cause: Arc<io::Error>,
    },
    /// The scan panicked.
    #[error("the scan of the sockets panicked; this is a bug in the exporter")]
    Panicked,
}
