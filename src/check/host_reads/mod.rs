//! The figures of the machine, the usage of its file systems, and the targets of symbolic links, read by threads of their own. All checks
//! share them.

mod disk;
mod figures;
mod shared_reads;

use std::path::{Path, PathBuf};

pub use disk::{DiskError, DiskUsage};
pub use figures::{CpuTicks, Figures, FiguresError, RESOURCES, fuzz_parse};
#[cfg(test)]
pub use figures::{Descriptors, Memory, Pressure};
pub use shared_reads::SharedReads;

use crate::model::Problem;

/// The reads that are in progress. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct HostReads {
    figures: SharedReads<Result<Figures, FiguresError>>,
    disks: SharedReads<Result<DiskUsage, DiskError>>,
    canonical: SharedReads<Option<PathBuf>>,
}

impl HostReads {
    /// Reads the figures from the /proc mounted at `procfs`. Dropping the future stops only the waiting.
    ///
    /// # Errors
    /// The problem of a run.
    pub async fn figures(&self, procfs: &Path) -> Result<Figures, Problem> {
        let figures = self.figures.get(procfs, Figures::read).await?;
        figures.map_err(|error| error.problem())
    }

    /// Reads the usage of the file system mounted at `mount`. Dropping the future stops only the waiting.
    ///
    /// # Errors
    /// The problem of a run.
    pub async fn disk(&self, mount: &Path) -> Result<DiskUsage, Problem> {
        let usage = self.disks.get(mount, DiskUsage::read).await?;
        usage.map_err(|error| error.problem(mount))
    }

    /// The path without symbolic links; `None` if it can't be resolved. Dropping the future stops only the waiting.
    ///
    /// # Errors
    /// A shortage if no thread can be started.
    pub async fn canonical(&self, path: &Path) -> Result<Option<PathBuf>, Problem> {
        self.canonical
            .get(path, |path: &Path| path.canonicalize().ok())
            .await
    }
}
