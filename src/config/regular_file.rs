//! Reads the files that a configuration names. It reads regular files only: a pipe can block, and a device may have no end.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// A file can't be read. Contains neither its name nor its content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a pipe, a socket, a device or a directory.
    #[error("not a regular file")]
    NotRegular,
    /// It has more than this many bytes.
    #[error("longer than {0} bytes")]
    TooLong(u64),
    /// It is not text.
    #[error("not UTF-8 text")]
    NotText,
}

/// The error of reading a file or another source that the configuration names.
pub trait ReadError: fmt::Display {
    /// Whether the system can't read the file now: it is missing, or access is denied. The content may be valid later.
    fn is_unreadable(&self) -> bool;
}

impl ReadError for FileError {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}

/// Reads a regular file of at most `max_bytes` bytes. Symbolic links are followed.
///
/// # Errors
/// When it can't be read, is not a regular file, or is longer.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(FileError::TooLong(max_bytes));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `max_bytes` bytes of UTF-8.
///
/// # Errors
/// As for [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, max_bytes)?).map_err(|_| FileError::NotText)
}

/// Opens a file, and then checks its type: the file of that name could change between a check and the opening. Opening does
/// not wait for the writer of a pipe, and does not acquire a controlling terminal.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(FileError::NotRegular),
        // A socket, or a device without a driver: open(2).
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => Err(FileError::NotRegular),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, b"1234\xff").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 5).unwrap(), b"1234\xff");
        assert!(matches!(read(&file, 4), Err(FileError::TooLong(4))));
        assert!(matches!(read_text(&file, 5), Err(FileError::NotText)));
        std::fs::write(&file, "123\n").unwrap();
        assert_eq!(read_text(&file, 5).unwrap(), "123\n");
    }

    #[test]
    fn pipes_sockets_devices_and_directories_are_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, socket) = (directory.path().join("pipe"), directory.path().join("socket"));
        mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&*pipe, &*socket, directory.path(), Path::new("/dev/zero")] {
            let error = read(path, 10).unwrap_err();
            assert!(
                matches!(error, FileError::NotRegular),
                "{}: {error}",
                path.display()
            );
        }
        let absent = read(&directory.path().join("absent"), 10).unwrap_err();
        assert!(matches!(absent, FileError::Io(_)), "{absent}");
    }
}
