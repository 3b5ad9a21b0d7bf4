//! An exporter that runs with limited resources, and its metrics.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::servers::{Server, free_port, get};

/// Locked while an exporter runs: some tests use all cores, others depend on time.
static CORES: Mutex<()> = Mutex::new(());

/// A running exporter. Only one runs at a time.
pub struct Limited {
    pub server: Server,
    port: u16,
    _dir: TempDir,
    _cores: MutexGuard<'static, ()>,
}

/// A command that runs the shell command `before` (such as `ulimit -n 64`) and then the exporter in the same process.
fn command(before: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{before} && exec \"$@\""), "sh"])
        .arg(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
}

/// Writes a configuration with these services, one per line. Returns the flag for it.
fn write(dir: &Path, head: &str, services: &[String]) -> String {
    let file = dir.join("upkeep.yml");
    fs::write(&file, format!("{head}\nservices:\n{}\n", services.join("\n"))).unwrap();
    format!("--config.file={}", file.display())
}

impl Limited {
    /// Starts the exporter after the shell command `before`.
    pub fn start(before: &str, head: &str, services: &[String]) -> Self {
        let cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = command(before);
        command
            .arg(write(dir.path(), head, services))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self {
            server: Server::start("exporter", command, dir.path()),
            port,
            _dir: dir,
            _cores: cores,
        }
    }

    pub fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until `count` services are up.
    pub async fn until_up(&self, count: usize) {
        let started = Instant::now();
        while self.metrics().await.services("up").len() < count {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{}",
                self.server.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the exporter serves, and returns its metrics.
    pub async fn metrics(&self) -> Metrics {
        let url = self.url("/metrics");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(text) = get(&url).await {
                return Metrics(text);
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "no metrics are served:\n{}",
                self.server.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Runs the command `check` after the shell command `before`. Returns its exit code and output.
pub fn check_once(before: &str, head: &str, services: &[String]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), head, services);
    let output = command(before).arg("check").arg(config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.code(),
        text + &String::from_utf8_lossy(&output.stderr),
    )
}

/// The metrics of one scrape.
pub struct Metrics(pub String);

impl Metrics {
    /// The values of a family, with the labels of each series.
    pub fn all(&self, family: &str) -> Vec<(&str, f64)> {
        let lines = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(family)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then(|| (labels, value.parse().unwrap()))
        });
        lines.collect()
    }

    /// The sum over all series of a family.
    pub fn sum(&self, family: &str) -> f64 {
        self.all(family).iter().map(|(_, value)| value).sum()
    }

    /// The services with this status.
    pub fn services(&self, status: &str) -> Vec<&str> {
        let label = format!("status=\"{status}\"");
        let series = self.all("upkeep_service_status").into_iter();
        series
            .filter(|(labels, value)| *value == 1.0 && labels.contains(&label))
            .filter_map(|(labels, _)| labels.split("service=\"").nth(1)?.split('"').next())
            .collect()
    }
}
