//! The file of a Unix socket. Nobody can connect before its mode is set, and it replaces only sockets that nobody listens on.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// How many connections may wait to be accepted. The kernel caps this at net.core.somaxconn.
const BACKLOG: i32 = 1024;

/// The file of a socket. Removed when dropped, unless another file has replaced it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why a socket could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens on the path.
    #[error("another process listens there: stop it, or choose another path")]
    InUse,
    /// The file is not a socket.
    #[error("a file that is not a socket exists there: remove it, or choose another path")]
    NotASocket,
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for SocketError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl SocketFile {
    /// Creates a non-blocking listener at `path` with this file mode, which decides who may connect. Replaces the socket of a
    /// process that has ended.
    ///
    /// # Errors
    /// When another file exists there, or a system call fails.
    pub fn bind(path: &Path, mode: u32) -> Result<(UnixListener, Self), SocketError> {
        remove_stale(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = fs::symlink_metadata(path)?;
        let own = Self {
            path: path.to_owned(),
            identity: (file.dev(), file.ino()),
        };
        // Nobody can connect before `listen`, whatever the umask allows.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        listen(&socket, BACKLOG)?;
        Ok((UnixListener::from(socket), own))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Ok(file) = fs::symlink_metadata(&self.path)
            && (file.dev(), file.ino()) == self.identity
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "failed to remove the socket file");
        }
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(SocketError::NotASocket),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    // Non-blocking: the queue of a stopped process may be full.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // unix(7): the file exists, but nobody listens.
        Err(Errno::CONNREFUSED) => Ok(fs::remove_file(path)?),
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(SocketError::InUse),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    const MODE: u32 = 0o640;

    #[test]
    fn the_mode_is_set_and_the_file_is_removed_on_drop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (listener, file) = SocketFile::bind(&path, MODE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        UnixStream::connect(&path).unwrap();
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn only_a_socket_without_a_listener_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        // The standard library leaves the file behind, like a killed process.
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = SocketFile::bind(&path, MODE).unwrap();
        assert!(matches!(SocketFile::bind(&path, MODE), Err(SocketError::InUse)));
        UnixStream::connect(&path).unwrap();
        // A successor's file outlives us.
        fs::remove_file(&path).unwrap();
        let (_next, next_file) = SocketFile::bind(&path, MODE).unwrap();
        drop((listener, file));
        UnixStream::connect(&path).unwrap();
        drop(next_file);

        let datagrams = directory.path().join("datagrams");
        let _held = UnixDatagram::bind(&datagrams).unwrap();
        assert!(matches!(
            SocketFile::bind(&datagrams, MODE),
            Err(SocketError::InUse)
        ));
        for (name, make) in [
            ("file", (|path| fs::write(path, "kept").unwrap()) as fn(&Path)),
            ("folder", |path| fs::create_dir(path).unwrap()),
            ("link", |path| std::os::unix::fs::symlink("absent", path).unwrap()),
        ] {
            let path = directory.path().join(name);
            make(&path);
            assert!(
                matches!(SocketFile::bind(&path, MODE), Err(SocketError::NotASocket)),
                "{name}"
            );
        }
        assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "kept");
    }

    #[test]
    fn system_errors_are_reported() {
        let long = format!("/tmp/{}", "x".repeat(200));
        for path in ["/nonexistent/socket", &long] {
            assert!(
                matches!(SocketFile::bind(path.as_ref(), MODE), Err(SocketError::Io(_))),
                "{path}"
            );
        }
    }
}
