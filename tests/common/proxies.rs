//! Real proxies on free ports: microsocks speaks SOCKS5, and stunnel adds TLS to another proxy.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::servers::{Server, eventually, free_port, tool};
use super::targets::tls::Identity;

/// How long a proxy may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running proxy. It ends when it is dropped.
pub struct Proxy {
    server: Server,
    pub address: String,
    _dir: TempDir,
}

impl Proxy {
    /// A SOCKS5 proxy, which requires this user name and password, if given.
    pub async fn socks(login: Option<(&str, &str)>) -> Self {
        let port = free_port();
        let mut command = Command::new(tool("microsocks", "microsocks"));
        command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
        if let Some((user, password)) = login {
            command.args(["-u", user, "-P", password]);
        }
        Self::start("microsocks", command, port, tempfile::tempdir().unwrap()).await
    }

    /// Accepts TLS with this certificate, and forwards everything to `upstream`.
    pub async fn tls(identity: &Identity, upstream: SocketAddr) -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        let pem = dir.path().join("identity.pem");
        fs::write(&pem, format!("{}{}", identity.key, identity.certificate)).unwrap();
        let config = dir.path().join("stunnel.conf");
        let text = format!(
            "foreground = yes\npid =\n[proxy]\naccept = 127.0.0.1:{port}\nconnect = {upstream}\ncert = {}\n",
            pem.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(tool("stunnel", "stunnel4"));
        command.arg(&config);
        Self::start("stunnel", command, port, dir).await
    }

    async fn start(name: &str, command: Command, port: u16, dir: TempDir) -> Self {
        let server = Server::start(name, command, dir.path());
        let address = format!("127.0.0.1:{port}");
        eventually(name, START_LIMIT, || async {
            TcpStream::connect(&address).await.ok()
        })
        .await;
        Self {
            server,
            address,
            _dir: dir,
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
