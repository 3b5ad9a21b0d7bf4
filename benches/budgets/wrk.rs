//! wrk, as the raw client and as the one that drives blackbox_exporter.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::{bound_to_us, cpu_of_ended_children};

/// What wrk saw.
#[derive(Debug)]
pub struct Load {
    /// Requests that were answered.
    pub requests: f64,
    /// Requests a second.
    pub rate: f64,
    /// CPU time of wrk itself, in seconds.
    pub cpu: f64,
}

/// Requests `url` over `connections` for `seconds`, each request on a connection of its own where `close`.
pub fn run(url: &str, connections: usize, seconds: u32, close: bool) -> anyhow::Result<Load> {
    let mut command = Command::new("wrk");
    command.args([
        "-t1",
        &format!("-c{connections}"),
        &format!("-d{seconds}s"),
        "--timeout=5s",
    ]);
    if close {
        command.args(["-H", "Connection: close"]);
    }
    command.arg(url);
    let before = cpu_of_ended_children()?;
    let output = bound_to_us(&command)
        .output()
        .context("starting wrk (apt-get install wrk)")?;
    let cpu = cpu_of_ended_children()? - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success() && !text.contains("Non-2xx"),
        "wrk {url}: {text}"
    );
    let requests = text
        .lines()
        .find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    let what = || format!("wrk {url}: unknown output: {text}");
    Ok(Load {
        requests: requests.with_context(what)?,
        rate: rate.with_context(what)?,
        cpu,
    })
}
