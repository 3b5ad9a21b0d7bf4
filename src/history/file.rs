//! The two files of the history: a complete copy, which is replaced atomically, and a log of what happened since, which is appended to.

use std::path::PathBuf;
use std::sync::Arc;

use super::encoding::{
    LOG_HEADER, apply_records, decode_copy, decode_log_header, encode_copy, is_torn, log_header,
};
use super::recorder::Recorder;
use crate::state_dir::{Appended, SaveError, SavedFile, StateDir};

/// The complete copy.
pub const COPY_FILE: &str = "history.bin";

/// What happened since the copy.
pub const LOG_FILE: &str = "history.log";

/// The maximum size of a copy in bytes. While it is replaced, there are two of them.
pub const MAX_COPY_BYTES: usize = 24 * 1024 * 1024;

/// The size in bytes above which the log is merged into a new copy. With two copies, all files have less than 64 MiB. The log of 1,000 services
/// grows by about 2 MiB an hour.
const MAX_LOG_BYTES: u64 = 12 * 1024 * 1024;

/// The maximum size of a file that is read, in bytes.
const MAX_READ_BYTES: u64 = 64 * 1024 * 1024;

/// The files in the state directory.
#[derive(Debug)]
pub struct HistoryFile {
    dir: Arc<StateDir>,
    /// The number of the copy.
    number: u64,
    /// The log of this copy. `None` if it must be created.
    log: Option<Appended>,
    /// Whether the next save must write a copy, because the log alone would not be enough.
    needs_copy: bool,
}

impl HistoryFile {
    /// Reads the files into an empty recorder. Also returns warnings for the operator.
    pub fn open(dir: Arc<StateDir>, recorder: &mut Recorder) -> (Self, Vec<String>) {
        let mut file = Self {
            dir,
            number: 0,
            log: None,
            needs_copy: false,
        };
        let mut warnings = Vec::new();
        if let Err(reason) = file.read_copy(recorder) {
            *recorder = Recorder::default();
            warnings.push(file.dir.reject(&saved(COPY_FILE), &reason));
        }
        if let Err(reason) = file.read_log(recorder) {
            file.log = None;
            file.needs_copy = true;
            warnings.push(file.dir.reject(&saved(LOG_FILE), &reason));
        }
        (file, warnings)
    }

    fn read_copy(&mut self, recorder: &mut Recorder) -> Result<(), String> {
        let Some(bytes) = self.dir.read(COPY_FILE, MAX_READ_BYTES)? else {
            return Ok(());
        };
        self.number = decode_copy(&bytes, recorder).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn read_log(&mut self, recorder: &mut Recorder) -> Result<(), String> {
        let Some(bytes) = self.dir.read(LOG_FILE, MAX_READ_BYTES)? else {
            return Ok(());
        };
        let number = decode_log_header(&bytes).map_err(|error| error.to_string())?;
        if number < self.number {
            // The process ended between the two steps of a copy, which has everything in this log.
            return Ok(());
        }
        if number > self.number {
            return Err(format!("its copy {COPY_FILE} is missing or older"));
        }
        let records = &bytes[LOG_HEADER..];
        let applied = apply_records(records, recorder);
        let rest = &records[applied..];
        if !rest.is_empty() && !is_torn(rest) {
            return Err(format!(
                "it is damaged at byte {}; the records before that are used",
                LOG_HEADER + applied
            ));
        }
        // An incomplete record at the end is overwritten.
        self.log = Some(self.log_of((LOG_HEADER + applied) as u64));
        Ok(())
    }

    /// The number of the next copy, if the next save must write one.
    pub fn next_copy(&self) -> Option<u64> {
        let is_long = self.log.as_ref().is_some_and(|log| log.length() > MAX_LOG_BYTES);
        (self.needs_copy || is_long).then_some(self.number + 1)
    }

    /// Atomically replaces the copy by one with the number [`HistoryFile::next_copy`], and begins a new log.
    ///
    /// # Errors
    /// If a step fails. The old copy and its log stay, or the new copy is complete.
    pub fn write_copy(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.dir.replace(COPY_FILE, bytes)?;
        self.number += 1;
        self.needs_copy = false;
        self.log = None;
        self.create_log(&[])
    }

    /// Replaces the log by one that belongs to the copy and has this record.
    fn create_log(&mut self, record: &[u8]) -> Result<(), SaveError> {
        let bytes = [&log_header(self.number)[..], record].concat();
        self.dir.replace(LOG_FILE, &bytes)?;
        self.log = Some(self.log_of(bytes.len() as u64));
        Ok(())
    }

    /// The log, whose complete records have `length` bytes, with its header.
    fn log_of(&self, length: u64) -> Appended {
        Appended::new(self.dir.path().join(LOG_FILE), length)
    }

    /// Appends a record to the log and syncs it to the disk.
    ///
    /// # Errors
    /// If a step fails. Then the record is not saved, and the log is as before, at least after the next call.
    pub fn append(&mut self, record: &[u8]) -> Result<(), SaveError> {
        let Some(log) = &mut self.log else {
            return self.create_log(record);
        };
        self.dir.take_lock()?;
        let result = log.append(record);
        // Somebody removed or replaced it, or the disk is full.
        self.needs_copy |= result.is_err() && !log.is_there();
        result
    }

    /// The path of the copy.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(COPY_FILE)
    }
}

/// Saves a history as a complete copy in an empty directory. For benchmarks.
///
/// # Errors
/// If a step fails.
#[doc(hidden)]
pub fn save_copy(dir: Arc<StateDir>, recorder: &Recorder) -> Result<(), SaveError> {
    let (mut file, _) = HistoryFile::open(dir, &mut Recorder::default());
    file.write_copy(&encode_copy(recorder, 1))
}

/// A file of the history.
const fn saved(name: &'static str) -> SavedFile {
    SavedFile {
        name,
        max_bytes: MAX_READ_BYTES,
        content: "the saved history",
        if_lost: "the times that only it has show as no data",
    }
}
