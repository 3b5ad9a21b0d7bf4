//! Our exporter, as its users start it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{self, OPEN_METRICS};
use crate::exposition::Scrape;
use crate::process::{Process, free_address};

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
        let file = directory.join("upkeep.yml");
        fs::write(&file, config)?;
        let address = free_address()?;
        let state = directory.join("state");
        fs::create_dir_all(&state)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg(format!("--state.dir={}", state.display()));
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
        let mut exporter = Self::start(config, directory)?;
        let address = exporter.address;
        let is_ready = || {
            std::thread::sleep(Duration::from_millis(20));
            client::get(address, "/-/ready", "").is_ok()
        };
        exporter
            .process
            .wait_until("every check has run once", Duration::from_secs(60), is_ready)?;
        Ok(exporter)
    }

    /// A scrape.
    pub fn scrape(&self) -> anyhow::Result<Scrape> {
        Ok(Scrape::parse(
            &client::get(self.address, "/metrics", OPEN_METRICS)?.text()?,
        ))
    }
}
