//! An exporter with a state directory and a control socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::LONG;
use crate::common::exporter::get_owned;
use crate::common::servers::{Server, eventually, free_port, get};

/// An exporter that can be killed and started again, and the command that controls it.
pub struct Monitor {
    pub server: Server,
    pub dir: TempDir,
    /// `heal` or `maintenance`.
    command: &'static str,
    port: u16,
}

impl Monitor {
    /// Starts it, and waits until every check has run. `DIR` in the configuration is the directory of the test.
    pub async fn start(command: &'static str, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config.replace("DIR", dir.path().to_str().unwrap());
        fs::write(dir.path().join("upkeep.yml"), config).unwrap();
        // Without pressure files: this machine is busy with other tests.
        let random = dir.path().join("proc/sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        let boot_id = fs::read("/proc/sys/kernel/random/boot_id").unwrap();
        fs::write(random.join("boot_id"), boot_id).unwrap();
        let port = free_port();
        let monitor = Self {
            server: spawn(dir.path(), port),
            dir,
            command,
            port,
        };
        monitor.ready().await;
        monitor
    }

    async fn ready(&self) {
        eventually("the first round", LONG, || get_owned(self.url("/-/ready"))).await;
    }

    pub async fn restart_after_kill(&mut self) {
        self.server.kill();
        self.server = spawn(self.dir.path(), self.port);
        self.ready().await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn socket(&self) -> PathBuf {
        socket(self.dir.path())
    }

    /// Runs its command.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command, &self.socket(), arguments)
    }

    /// The standard output of a command that must succeed.
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        text(&output.stdout).to_owned()
    }

    /// The status of a service.
    pub async fn status(&self, service: &str) -> Value {
        let status = get(&self.url(&format!("/api/status/{service}"))).await.unwrap();
        serde_json::from_str(&status).unwrap()
    }
}

/// The control socket of an exporter with this directory.
pub fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// Runs a command over a control socket.
pub fn run(command: &str, socket: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .arg(command)
        .args(arguments)
        .arg(format!("--control.socket={}", socket.display()))
        .output()
        .unwrap()
}

fn spawn(dir: &Path, port: u16) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
        .arg(format!("--config.file={}", dir.join("upkeep.yml").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--state.dir={}", dir.join("state").display()))
        .arg(format!("--path.procfs={}", dir.join("proc").display()))
        .arg(format!("--status.file={}", dir.join("status.json").display()))
        .arg(format!("--control.socket={}", socket(dir).display()));
    Server::start("exporter", command, dir)
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
