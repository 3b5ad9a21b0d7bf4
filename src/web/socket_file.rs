//! The file of a Unix socket: made so that nobody connects too early, and never in the place of something that lives.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// Who may connect: the exporter's user and its group.
pub const MODE: u32 = 0o660;
/// How many connections wait to be accepted; the kernel takes no more than net.core.somaxconn.
const BACKLOG: i32 = 1024;

/// A socket's file. Removed when dropped, unless another one stands in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process answers there.
    #[error("another process listens there: end it, or choose another path")]
    InUse,
    /// A file that is no socket is there.
    #[error("there is a file that is no socket: remove it, or choose another path")]
    NoSocket,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for SocketError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl SocketFile {
    /// Listens at `path`, not blocking. A socket that a dead process left there is replaced.
    ///
    /// # Errors
    /// When something else is there, or the system refuses.
    pub fn bind(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        remove_stale(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = fs::symlink_metadata(path)?;
        let own = Self {
            path: path.to_owned(),
            identity: (file.dev(), file.ino()),
        };
        // Before it listens nobody can connect, whatever the umask left open.
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
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
            tracing::debug!(%error, path = %self.path.display(), "removing the socket");
        }
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(SocketError::NoSocket),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    // Not blocking: the queue of a process that is stopped may be full.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // unix(7): the file is there, but nobody listens.
        Err(Errno::CONNREFUSED) => Ok(fs::remove_file(path)?),
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(SocketError::InUse),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn a_socket_is_for_the_group_and_is_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (listener, file) = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        UnixStream::connect(&path).unwrap();
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        // std leaves the file behind, as a killed process does.
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = SocketFile::bind(&path).unwrap();
        assert!(matches!(SocketFile::bind(&path), Err(SocketError::InUse)));
        UnixStream::connect(&path).unwrap();
        // A successor's file outlives us.
        fs::remove_file(&path).unwrap();
        let (_next, next_file) = SocketFile::bind(&path).unwrap();
        drop((listener, file));
        UnixStream::connect(&path).unwrap();
        drop(next_file);

        let datagrams = directory.path().join("datagrams");
        let _held = UnixDatagram::bind(&datagrams).unwrap();
        assert!(matches!(SocketFile::bind(&datagrams), Err(SocketError::InUse)));
        for (name, make) in [
            ("file", (|path| fs::write(path, "kept").unwrap()) as fn(&Path)),
            ("folder", |path| fs::create_dir(path).unwrap()),
            ("link", |path| std::os::unix::fs::symlink("absent", path).unwrap()),
        ] {
            let path = directory.path().join(name);
            make(&path);
            assert!(
                matches!(SocketFile::bind(&path), Err(SocketError::NoSocket)),
                "{name}"
            );
        }
        assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "kept");
    }

    #[test]
    fn what_the_system_refuses_is_told() {
        let long = format!("/tmp/{}", "x".repeat(200));
        for path in ["/nonexistent/socket", &long] {
            assert!(
                matches!(SocketFile::bind(path.as_ref()), Err(SocketError::Io(_))),
                "{path}"
            );
        }
    }
}
