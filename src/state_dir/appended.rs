//! A file that records are appended to.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::{SaveError, failed, open};

/// A file that records are appended to. It exists.
#[derive(Clone, Debug)]
pub struct Appended {
    path: PathBuf,
    /// The length of its complete records, with the header.
    length: u64,
    /// The number of the file in its file system. `None` until the first record is appended.
    inode: Option<u64>,
}

impl Appended {
    /// The file at `path`, whose complete records have `length` bytes, with the header.
    pub const fn new(path: PathBuf, length: u64) -> Self {
        Self {
            path,
            length,
            inode: None,
        }
    }

    /// The length of its complete records in bytes, with the header.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Appends a record and syncs it to the disk. The caller holds the lock of the directory.
    ///
    /// # Errors
    /// If a step fails. Then the record is not saved, and the file is as before, at least after the next call.
    pub fn append(&mut self, record: &[u8]) -> Result<(), SaveError> {
        let inode = self
            .try_append(record)
            .map_err(failed("appending to", &self.path))?;
        self.inode = Some(inode);
        self.length += record.len() as u64;
        Ok(())
    }

    /// Appends a record, and returns the number of the file. An earlier attempt may have left a part of a record at the end.
    fn try_append(&self, record: &[u8]) -> io::Result<u64> {
        let mut file = open(&self.path, OpenOptions::new().write(true).mode(0o600))?;
        let found = file.metadata()?;
        if found.len() < self.length || self.inode.is_some_and(|inode| inode != found.ino()) {
            return Err(io::Error::other("it was replaced by another file"));
        }
        file.set_len(self.length)?;
        file.seek(SeekFrom::End(0))?;
        let written = file.write_all(record).and_then(|()| file.sync_data());
        if written.is_err() {
            // Frees the space. If that fails too, report only the first error.
            let _ = file.set_len(self.length);
        }
        written.map(|()| found.ino())
    }

    /// Whether the file still exists. False if somebody removed or replaced it.
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| {
            found.is_file()
                && found.len() >= self.length
                && self.inode.is_none_or(|inode| inode == found.ino())
        })
    }
}
