//! Real memcached servers, on free ports or Unix sockets in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};

use super::servers::{Server, eventually, free_port, tool};

/// How long a server may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server. It ends when it is dropped.
pub struct Memcached {
    server: Server,
    /// What a check connects to: host and port, or the path of a socket.
    pub address: String,
    _dir: TempDir,
}

impl Memcached {
    /// Starts a server on a port with these options.
    pub async fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let server = launch(&["-l", "127.0.0.1", "-p", &port.to_string()], options, dir.path());
        let address = format!("127.0.0.1:{port}");
        eventually("memcached", START_LIMIT, || async {
            TcpStream::connect(&address).await.ok()
        })
        .await;
        Self {
            server,
            address,
            _dir: dir,
        }
    }

    /// Starts a server on a Unix socket.
    pub async fn on_socket() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path: PathBuf = dir.path().join("memcached.sock");
        let address = path.display().to_string();
        let server = launch(&["-s", &address], &[], dir.path());
        eventually("memcached", START_LIMIT, || async {
            UnixStream::connect(&path).await.ok()
        })
        .await;
        Self {
            server,
            address,
            _dir: dir,
        }
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.server.signal(signal);
    }
}

fn launch(listening: &[&str], options: &[&str], dir: &Path) -> Server {
    let mut command = Command::new(tool("memcached", "memcached"));
    // As root, it starts only if it is told which user to become.
    command.args(["-u", "root"]).args(listening).args(options);
    Server::start("memcached", command, dir)
}
