//! An exporter that serves HTTPS and HTTP/2 with a self-signed certificate.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::browser::LONG;
use crate::common::servers::{Server, eventually, free_port};
use crate::common::targets::tls::self_signed;

/// The exporter.
pub struct Secured {
    _server: Server,
    port: u16,
    _dir: TempDir,
}

impl Secured {
    pub async fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let identity = self_signed(&["127.0.0.1"]);
        fs::write(path("server.crt"), &identity.certificate).unwrap();
        fs::write(path("server.key"), &identity.key).unwrap();
        let web = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
        fs::write(path("web.yml"), web).unwrap();
        fs::write(path("upkeep.yml"), config).unwrap();
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg(format!("--config.file={}", path("upkeep.yml").display()))
            .arg(format!("--web.config.file={}", path("web.yml").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let server = Server::start("exporter", command, dir.path());
        eventually("the exporter listens", LONG, || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            _server: server,
            port,
            _dir: dir,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}
