//! Our exporter, as its users start it.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{self, OPEN_METRICS};
use crate::common::systemd::Machine;
use crate::exposition::Scrape;
use crate::process::{Process, free_address};

/// How long the first runs of all checks may take: an interval of the longest row (50 s) and what a busy machine adds.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// The program to measure: that of the environment variable `UPKEEP_BENCH_EXPORTER`, to compare two builds, or the one that cargo built.
fn program() -> OsString {
    std::env::var_os("UPKEEP_BENCH_EXPORTER").unwrap_or_else(|| env!("CARGO_BIN_EXE_upkeep_exporter").into())
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    /// Where it serves.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    /// From its start to its first served scrape.
    pub startup: Duration,
}

impl Exporter {
    /// Starts it with this configuration, and waits for the first served scrape.
    pub fn start(config: &str, directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(&[], config, directory)
    }

    fn start_with(flags: &[&str], config: &str, directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory.join("state"))?;
        fs::write(directory.join("upkeep.yml"), config)?;
        let mut command = Command::new(program());
        command.args(flags);
        Self::launch(command, directory, directory)
    }

    /// Starts it with the configuration that is in `files`, as the exporter sees it. `directory` is for its log.
    fn launch(mut command: Command, files: &Path, directory: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        command.arg(format!("--config.file={}", files.join("upkeep.yml").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg(format!("--state.dir={}", files.join("state").display()));
        let begun = Instant::now();
        let mut process = Process::start("upkeep_exporter", &command, directory)?;
        process.wait_until("a scrape is served", Duration::from_secs(30), || {
            client::get(address, "/metrics", "").is_ok()
        })?;
        Ok(Self {
            address,
            process,
            startup: begun.elapsed(),
        })
    }

    /// Starts it, and waits until every check has run once.
    pub fn ready(config: &str, directory: &Path) -> anyhow::Result<Self> {
        Self::start(config, directory)?.wait_until_ready()
    }

    /// Starts it with these flags, and waits until every check has run once.
    pub fn ready_with(flags: &[&str], config: &str, directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(flags, config, directory)?.wait_until_ready()
    }

    /// Starts it with the files, processes and control groups of a machine, but with this machine's network, and waits until every
    /// check has run once. `name` is the directory of its files.
    pub fn ready_in(machine: &Machine, config: &str, name: &str) -> anyhow::Result<Self> {
        let directory = machine.shared_directory().join(name);
        fs::create_dir_all(directory.join("state"))?;
        fs::write(directory.join("upkeep.yml"), config)?;
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &machine.pid().to_string(),
            "--mount",
            "--cgroup",
            "--",
        ]);
        command.arg(program());
        Self::launch(command, &Path::new("/run/shared").join(name), &directory)?.wait_until_ready()
    }

    /// Waits until every check has run once.
    pub fn wait_until_ready(self) -> anyhow::Result<Self> {
        let mut exporter = self;
        let address = exporter.address;
        let is_ready = || {
            std::thread::sleep(Duration::from_millis(20));
            client::get(address, "/-/ready", "").is_ok()
        };
        exporter
            .process
            .wait_until("every check has run once", READY_LIMIT, is_ready)?;
        Ok(exporter)
    }

    /// A scrape.
    pub fn scrape(&self) -> anyhow::Result<Scrape> {
        Ok(Scrape::parse(
            &client::get(self.address, "/metrics", OPEN_METRICS)?.text()?,
        ))
    }
}
