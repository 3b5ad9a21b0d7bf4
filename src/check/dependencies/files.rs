//! Reads files and directories within the limits of one run.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::read_error::ReadError;
use crate::config::regular_file::{self, FileError};

/// How much [`Files::read_head`] reads at a time. The head of most metadata fits.
const HEAD_CHUNK: u64 = 8 << 10;

/// How many bytes of the part before `is_complete` gets: an end of headers that lies across two parts has at most four.
const OVERLAP: usize = 3;

/// The limits of one run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest file, in bytes.
    pub file_bytes: u64,
    /// All files together, in bytes.
    pub total_bytes: u64,
    /// The number of files, directories and entries of directories.
    pub files: usize,
}

/// What the run and its thread share.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether the run was cancelled. The thread stops at the next file or step.
    pub is_cancelled: AtomicBool,
    path: Mutex<PathBuf>,
}

impl Progress {
    /// The file that is read now, or was read last.
    pub fn path(&self) -> PathBuf {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads files for one run, and counts what it reads. Symbolic links are followed; the kernel ends loops of them.
#[derive(Debug)]
pub struct Files {
    limits: Limits,
    files: usize,
    bytes: u64,
    progress: Arc<Progress>,
}

impl Files {
    /// Reads within these limits. For tests; runs use [`super::Reader`].
    pub fn new(limits: Limits) -> Self {
        Self::with_progress(limits, Arc::default())
    }

    pub(super) fn with_progress(limits: Limits, progress: Arc<Progress>) -> Self {
        Self {
            limits,
            files: 0,
            bytes: 0,
            progress,
        }
    }

    /// Reads a regular file.
    ///
    /// # Errors
    /// When it can't be read, is not a regular file, or exceeds a limit.
    pub fn read(&mut self, path: &Path) -> Result<Vec<u8>, ReadError> {
        self.begin(path)?;
        let bytes = regular_file::read(path, self.limits.file_bytes)
            .map_err(|cause| ReadError::from_file(path, cause))?;
        self.count(path, bytes.len())?;
        Ok(bytes)
    }

    /// Reads a regular file of UTF-8.
    ///
    /// # Errors
    /// As for [`Self::read`], and when it is not UTF-8.
    pub fn read_text(&mut self, path: &Path) -> Result<String, ReadError> {
        String::from_utf8(self.read(path)?).map_err(|_| ReadError::from_file(path, FileError::NotText))
    }

    /// Reads the start of a regular file, until `is_complete` is true for a part of it. It gets every part once, with a few bytes
    /// of the part before.
    ///
    /// # Errors
    /// As for [`Self::read`]. The limit of the length counts only what is read.
    pub fn read_head(
        &mut self,
        path: &Path,
        is_complete: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, ReadError> {
        self.begin(path)?;
        let failed = |cause: FileError| ReadError::from_file(path, cause);
        let mut file = regular_file::open(path).map_err(failed)?;
        let mut head = Vec::new();
        loop {
            let read = (&mut file)
                .take(HEAD_CHUNK)
                .read_to_end(&mut head)
                .map_err(|error| failed(error.into()))?;
            let start = (head.len() - read).saturating_sub(OVERLAP);
            if head.len() as u64 > self.limits.file_bytes {
                return Err(failed(FileError::TooLong(self.limits.file_bytes)));
            }
            if read == 0 || is_complete(&head[start..]) {
                break;
            }
        }
        self.count(path, head.len())?;
        Ok(head)
    }

    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// When it can't be read or exceeds a limit.
    pub fn list(&mut self, path: &Path) -> Result<Vec<OsString>, ReadError> {
        self.begin(path)?;
        let entries = std::fs::read_dir(path).map_err(|cause| ReadError::from_file(path, cause))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(
                entry
                    .map_err(|cause| ReadError::from_file(path, cause))?
                    .file_name(),
            );
            self.files += 1;
            if self.files > self.limits.files {
                return Err(ReadError::too_many_files(path, self.limits.files));
            }
        }
        Ok(names)
    }

    /// The path without symbolic links.
    ///
    /// # Errors
    /// When it does not exist, has a loop, or can't be read.
    pub fn resolve(&mut self, path: &Path) -> Result<PathBuf, ReadError> {
        self.begin(path)?;
        std::fs::canonicalize(path).map_err(|cause| ReadError::from_file(path, cause))
    }

    /// Whether there is a file or directory, which may be unreadable.
    ///
    /// # Errors
    /// When a directory above it can't be read, or a limit is used up.
    pub fn exists(&mut self, path: &Path) -> Result<bool, ReadError> {
        self.begin(path)?;
        path.try_exists()
            .map_err(|cause| ReadError::from_file(path, cause))
    }

    /// Whether there is a directory, which may be unreadable.
    ///
    /// # Errors
    /// As for [`Self::exists`].
    pub fn is_directory(&mut self, path: &Path) -> Result<bool, ReadError> {
        Ok(self.exists(path)? && path.is_dir())
    }

    /// Whether the run was cancelled. Work that reads nothing for a while must end then.
    pub fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled.load(Ordering::Relaxed)
    }

    /// Ends the work if the run was cancelled. `path` is what the work is about.
    ///
    /// # Errors
    /// If it was.
    pub fn proceed(&self, path: &Path) -> Result<(), ReadError> {
        match self.is_cancelled() {
            true => Err(ReadError::cancelled(path)),
            false => Ok(()),
        }
    }

    fn begin(&mut self, path: &Path) -> Result<(), ReadError> {
        self.proceed(path)?;
        let mut shown = self.progress.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone_into(&mut shown);
        drop(shown);
        self.files += 1;
        if self.files > self.limits.files {
            return Err(ReadError::too_many_files(path, self.limits.files));
        }
        Ok(())
    }

    fn count(&mut self, path: &Path, bytes: usize) -> Result<(), ReadError> {
        self.bytes += bytes as u64;
        if self.bytes > self.limits.total_bytes {
            return Err(ReadError::too_many_bytes(path, self.limits.total_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;
    use crate::model::Reason;

    const LIMITS: Limits = Limits {
        file_bytes: 20_000,
        total_bytes: 30_000,
        files: 8,
    };

    #[test]
    fn a_head_ends_where_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("METADATA");
        std::fs::write(&path, "x".repeat(9000) + "\n\n" + &"y".repeat(9000)).unwrap();
        let is_complete = |head: &[u8]| head.windows(2).any(|pair| pair == b"\n\n");
        let head = Files::new(LIMITS).read_head(&path, is_complete).unwrap();
        assert_eq!(head.len(), 2 * 8192);
        std::fs::write(&path, "x".repeat(20_001)).unwrap();
        let error = Files::new(LIMITS).read_head(&path, is_complete).unwrap_err();
        assert_eq!(error.reason(), Reason::Limit);
    }

    #[test]
    fn each_obstacle_has_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink(at("loop"), at("loop")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        std::fs::write(at("long"), [b'x'; 20_001]).unwrap();
        std::fs::write(at("binary"), b"\xff").unwrap();
        for (name, reason) in [
            ("absent", Reason::Missing),
            ("loop", Reason::Unreachable),
            ("pipe", Reason::Protocol),
            ("long", Reason::Limit),
            ("binary", Reason::Protocol),
            ("binary/below", Reason::Missing),
        ] {
            let error = Files::new(LIMITS).read_text(&at(name)).unwrap_err();
            assert_eq!(error.reason(), reason, "{error}");
            assert!(!error.ends_run());
        }
    }

    #[test]
    fn the_limits_of_a_run_end_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [b'x'; 15_001]).unwrap();
        let mut files = Files::new(LIMITS);
        files.read(&path).unwrap();
        let error = files.read(&path).unwrap_err();
        assert!(error.ends_run() && error.reason() == Reason::Limit, "{error}");

        for number in 0..8 {
            std::fs::write(directory.path().join(number.to_string()), "").unwrap();
        }
        let error = Files::new(LIMITS).list(directory.path()).unwrap_err();
        assert!(error.ends_run() && error.reason() == Reason::Limit, "{error}");

        let files = &mut Files::new(LIMITS);
        files.progress.is_cancelled.store(true, Ordering::Relaxed);
        let error = files.read(&path).unwrap_err();
        assert!(error.ends_run() && error.reason() == Reason::Timeout, "{error}");
    }
}
