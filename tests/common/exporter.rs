//! The exporter's binary with a configuration of the test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::servers::{Server, eventually, free_port, get};

/// The time limit of any step, long enough for a busy machine.
pub const LONG: Duration = Duration::from_secs(20);

/// A running exporter with a configuration file.
pub struct Exporter {
    /// The process.
    pub server: Server,
    port: u16,
    dir: TempDir,
}

impl Exporter {
    /// Starts it and waits until every check has run.
    pub async fn start(config: &str, flags: &[&str]) -> Self {
        Self::start_with(config, flags, &[]).await
    }

    /// Starts it with more environment variables, and waits until every check has run.
    pub async fn start_with(config: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = dir.path().join("upkeep.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(control_socket(flags))
            .args(flags)
            .envs(variables.iter().copied());
        let server = Server::start("exporter", command, dir.path());
        let exporter = Self { server, port, dir };
        eventually("the first round", LONG, || get_owned(exporter.url("/-/ready"))).await;
        exporter
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("upkeep.yml")
    }

    pub async fn metrics(&self) -> String {
        get(&self.url("/metrics")).await.expect("metrics are served")
    }

    /// The value of the series with the text `series`, if it exists.
    pub async fn value(&self, series: &str) -> Option<f64> {
        let metrics = self.metrics().await;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// Like [`Self::value`], with a text that was read before.
    pub async fn value_owned(&self, series: String) -> Option<f64> {
        self.value(&series).await
    }

    /// Waits until the series has this value.
    pub async fn becomes(&self, series: &str, value: f64, limit: Duration) {
        let what = format!("{series} {value}\n{}", self.server.log());
        eventually(&what, limit, || async {
            self.value(series).await.filter(|found| *found == value)
        })
        .await;
    }
}

/// The flag against the default control socket, which the exporters of several tests would share.
fn control_socket(flags: &[&str]) -> Option<&'static str> {
    let is_set = flags.iter().any(|flag| flag.starts_with("--control.socket"));
    (!is_set).then_some("--control.socket=")
}

/// As [`get`], with an address of its own.
pub async fn get_owned(url: String) -> Option<String> {
    get(&url).await
}
