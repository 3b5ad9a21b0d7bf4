//! The space and the inodes of a file system.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statvfs, statx};
use rustix::io::Errno;

use crate::model::{Problem, Reason};
use crate::net::shortage;

/// The space in bytes and the inodes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// The size.
    pub size: u64,
    /// The space in use.
    pub used: u64,
    /// The space that users other than root can get.
    pub available: u64,
    /// The number of inodes. 0 if the file system has no fixed number (btrfs).
    pub inodes: u64,
    /// The number of inodes that users other than root can get.
    pub inodes_free: u64,
}

/// The usage could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// Nothing is mounted there.
    #[error("nothing is mounted here: the directory belongs to another file system")]
    NotMounted,
    /// An error of the system.
    #[error("{0}")]
    System(Errno),
}

impl DiskUsage {
    /// Reads the usage of the file system mounted at `mount`. Blocks as long as its server does not respond.
    ///
    /// # Errors
    /// If nothing is mounted there, or the system reports an error.
    pub fn read(mount: &Path) -> Result<Self, DiskError> {
        if !is_mount_point(mount).map_err(DiskError::System)? {
            return Err(DiskError::NotMounted);
        }
        let found = statvfs(mount).map_err(DiskError::System)?;
        let unit = found.f_frsize.max(1);
        Ok(Self {
            size: found.f_blocks.saturating_mul(unit),
            used: found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(unit),
            available: found.f_bavail.saturating_mul(unit),
            inodes: found.f_files,
            inodes_free: found.f_favail.min(found.f_files),
        })
    }

    /// The space that the free space is a share of: without the part that is reserved for root, as in `df`.
    pub const fn usable(&self) -> u64 {
        self.used.saturating_add(self.available)
    }
}

/// Whether something is mounted at the directory. True if the kernel does not report it (before Linux 5.8). The root directory may be
/// one that `chroot` entered.
fn is_mount_point(directory: &Path) -> Result<bool, Errno> {
    let flags = AtFlags::STATX_DONT_SYNC;
    let found = statx(CWD, directory, flags, StatxFlags::empty())?;
    let is_reported = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    let is_root = directory.parent().is_none();
    Ok(is_root || !is_reported || found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

impl DiskError {
    /// The problem of a run.
    pub fn problem(self, mount: &Path) -> Problem {
        let message = format_args!("reading the file system at {}: {self}", mount.display());
        match self {
            Self::NotMounted => Problem::new(Reason::State, message),
            Self::System(errno) => {
                let reason = match errno {
                    Errno::NOENT | Errno::NOTDIR => Reason::Missing,
                    Errno::ACCESS | Errno::PERM => Reason::Permission,
                    _ => Reason::Unreachable,
                };
                shortage::problem_or(shortage::from_errno(errno), reason, message)
            }
        }
    }
}
