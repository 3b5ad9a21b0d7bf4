//! One scan of /proc with 1,000 more processes, most of which are no business of a check's, and all of which are.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::client;
use crate::exporter::Exporter;
use crate::process::{Process, bound_to_us, free_address};
use crate::report::{Line, median};

const PROCESSES: usize = 1000;
const SCANS: usize = 15;
/// How long a scan may take, as a multiple of bare reads, with one watched process and with all of them.
const MAX_TIMES_ONE: f64 = 1.2;
const MAX_TIMES_ALL: f64 = 1.8;
/// The name of the one process of its own, and of the thousand.
const ONE: &str = "upkeep-one";
const MANY: &str = "upkeep-many";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let _one = Sleepers::start(ONE, 1, directory)?;
    let _many = Sleepers::start(MANY, PROCESSES, directory)?;
    let mut lines = Vec::new();
    for (title, name, budget) in [
        (
            "/proc scan with 1,000 processes, 1 of them watched",
            ONE,
            MAX_TIMES_ONE,
        ),
        (
            "/proc scan with 1,000 processes, all watched",
            MANY,
            MAX_TIMES_ALL,
        ),
    ] {
        let peer = process_exporter(name, directory)?;
        let bare = bare_reads()?;
        let (took, cpu) = ours(name, directory)?;
        lines.push(
            Line::new(title, took, "ms")
                .beside("process-exporter", peer.0)
                .beside("bare reads", bare),
        );
        let times = Line::new(format!("{title}: beside bare reads"), took / bare, "times");
        lines.push(times.at_most(budget));
        lines.push(Line::new(format!("{title}: CPU"), cpu, "ms").beside("process-exporter", peer.1));
    }
    Ok(lines)
}

/// Median of a scan and CPU time for one, both in milliseconds.
fn ours(name: &str, directory: &Path) -> anyhow::Result<(f64, f64)> {
    let config = format!(
        "defaults: {{ interval: 1s, timeout: 1s, recheck_interval: 1s, thresholds: {{ degraded: 500ms, down: 1s }} }}\n\
         services: [{{ key: sleepers, group: bench, checks: [{{ kind: process, match: [{name}] }}] }}]\n"
    );
    let exporter = Exporter::ready(&config, directory)?;
    let before = exporter.scrape()?;
    let cpu = exporter.process.cpu()?;
    let mut times = Vec::new();
    for _ in 0..SCANS {
        sleep(Duration::from_secs(1));
        times.push(1e3 * exporter.scrape()?.sum("upkeep_check_last_duration_seconds", ""));
    }
    let cpu = exporter.process.cpu()? - cpu;
    let after = exporter.scrape()?;
    let runs = after.sum("upkeep_check_runs_total", "") - before.sum("upkeep_check_runs_total", "");
    let found = after.sum("upkeep_processes", "");
    let expected = if name == ONE { 1 } else { PROCESSES } as f64;
    anyhow::ensure!(found == expected, "{found} processes found instead of {expected}");
    Ok((median(&times), 1e3 * cpu / runs))
}

/// Median of a scrape and CPU time for one, both in milliseconds.
fn process_exporter(name: &str, directory: &Path) -> anyhow::Result<(f64, f64)> {
    const SCRAPES: usize = 5;
    let address = free_address()?;
    let mut command = Command::new("prometheus-process-exporter");
    command.args(["-procnames", name, "-web.listen-address", &address.to_string()]);
    let mut process = Process::start("process-exporter", &command, directory)?;
    process.wait_for(address)?;
    let scrape = || client::get(address, "/metrics", "");
    // The first one meets processes that it does not know yet.
    scrape()?;
    let cpu = process.cpu()?;
    let mut times = Vec::new();
    for _ in 0..SCRAPES {
        times.push(1e3 * scrape()?.took.as_secs_f64());
    }
    Ok((median(&times), 1e3 * (process.cpu()? - cpu) / SCRAPES as f64))
}

/// What listing /proc and reading the two files of each process that every scan needs takes by itself: the median of
/// several times, in milliseconds.
fn bare_reads() -> anyhow::Result<f64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let begun = Instant::now();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            for file in ["comm", "cmdline"] {
                // Not every entry is a process, and processes end.
                if let Ok(mut file) = fs::File::open(path.join(file)) {
                    let _ = file.read(&mut buffer);
                }
            }
        }
        times.push(1e3 * begun.elapsed().as_secs_f64());
    }
    Ok(median(&times))
}

/// Processes that sleep, under a name of their own. They end with this, and by themselves after two minutes.
pub struct Sleepers(Vec<std::process::Child>);

impl Sleepers {
    /// Starts `count` of them.
    pub fn start(name: &str, count: usize, directory: &Path) -> anyhow::Result<Self> {
        let program = directory.join(name);
        fs::copy("/bin/sleep", &program).context("copying /bin/sleep")?;
        let mut sleepers = Self(Vec::with_capacity(count));
        for _ in 0..count {
            let mut command = bound_to_us(Command::new(&program).arg("120"));
            sleepers.0.push(
                command
                    .stdin(Stdio::null())
                    .spawn()
                    .context("starting a sleeper")?,
            );
        }
        let begun = Instant::now();
        let runs = |child: &std::process::Child| {
            fs::read_to_string(format!("/proc/{}/comm", child.id())).is_ok_and(|comm| comm.trim() == name)
        };
        while !sleepers.0.iter().all(runs) {
            anyhow::ensure!(
                begun.elapsed() < Duration::from_secs(20),
                "the sleepers do not run"
            );
            sleep(Duration::from_millis(50));
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself; both calls then do nothing.
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}
