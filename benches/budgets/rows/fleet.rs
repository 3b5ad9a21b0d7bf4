//! 10,000 HTTP checks each second: with targets that answer, and with targets that all hang.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use procfs::{CurrentSI, KernelStats};

use super::{EACH_SECOND, add_http_services};
use crate::blackbox;
use crate::client::{self, OPEN_METRICS};
use crate::exporter::Exporter;
use crate::exposition::Scrape;
use crate::lag::Window;
use crate::report::{Line, quantile};
use crate::target::Target;

const CHECKS: usize = 10_000;
/// So many that two cores have room for them and their target.
const ROOMY_CHECKS: usize = 5000;
/// With so much idle CPU, no run has a reason to be missed.
const ROOM: f64 = 0.05;
/// Checks of targets that answer, beside those that hang.
const HEALTHY: usize = 200;
/// From one scrape to the next: more often than an ordinary Prometheus, whose 15 s would make the row too long.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
const SCRAPES: usize = 4;

pub fn answering(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let blackbox = blackbox::measure(&target, 4, directory)?;
    let full = Run::of_fleet(CHECKS, &target, directory)?;
    let roomy = Run::of_fleet(ROOMY_CHECKS, &target, directory)?;
    let title = "10,000 HTTP checks at 1 s";
    let half = "5,000 HTTP checks at 1 s";
    let (runs, missed, failed) = full.counts("fleet");
    let mut late = Line::new(format!("{title}: missed runs"), missed, "");
    if full.idle >= ROOM {
        late = late.at_most(0.0);
    }
    Ok(vec![
        Line::new(format!("{title}: runs a second"), runs / full.seconds, "")
            .beside("blackbox_exporter at most", blackbox.rate),
        Line::new(format!("{title}: failed runs"), failed, "").at_most(0.0),
        late,
        Line::new(
            format!("{title}: p99 of the start's lag"),
            full.window().lag(0.99),
            "ms",
        ),
        Line::new(format!("{title}: highest resident memory"), full.memory, "MB").at_most(200.0),
        Line::new(
            format!("{title}: CPU"),
            100.0 * full.cpu / full.seconds,
            "% of a core",
        ),
        Line::new(format!("{title}: idle CPU"), 100.0 * full.idle, "% of all"),
        Line::new(format!("{half}: missed or failed runs"), roomy.bad("fleet"), "").at_most(0.0),
        Line::new(
            format!("{half}: p99 of the start's lag"),
            roomy.window().lag(0.99),
            "ms",
        )
        .at_most(50.0),
        Line::new(format!("{half}: idle CPU"), 100.0 * roomy.idle, "% of all"),
    ])
}

pub fn hanging(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let hanging = Target::hanging(directory)?;
    let healthy = Target::nginx(directory)?;
    let mut config = String::from(EACH_SECOND);
    add_http_services(&mut config, "hanging", &hanging, CHECKS);
    add_http_services(&mut config, "healthy", &healthy, HEALTHY);
    let run = Run::measure(&config, directory)?;
    let window = run.window();
    let timeouts = window.growth("upkeep_check_failures_total", "group=\"hanging\"");
    let runs = window.growth("upkeep_check_runs_total", "group=\"hanging\"");
    anyhow::ensure!(
        timeouts == runs && runs > 0.0,
        "{timeouts} failures in {runs} runs of targets that hang"
    );
    let title = "10,000 HTTP checks at 1 s, all hanging";
    Ok(vec![
        Line::new(
            format!("{title}: slowest of {} scrapes", run.scrapes.len()),
            quantile(&run.scrapes, 1.0),
            "ms",
        )
        .at_most(400.0),
        Line::new(
            format!("{title}: missed or failed runs of {HEALTHY} others"),
            run.bad("healthy"),
            "",
        )
        .at_most(0.0),
        Line::new(
            format!("{title}: p99 of the start's lag, of all"),
            window.lag(0.99),
            "ms",
        )
        .at_most(50.0),
        Line::new(format!("{title}: highest resident memory"), run.memory, "MB").at_most(300.0),
        Line::new(
            format!("{title}: CPU"),
            100.0 * run.cpu / run.seconds,
            "% of a core",
        ),
    ])
}

/// What a window of an exporter under load showed.
struct Run {
    before: Scrape,
    after: Scrape,
    seconds: f64,
    /// Milliseconds of each scrape.
    scrapes: Vec<f64>,
    /// The highest resident memory, in MB.
    memory: f64,
    /// CPU seconds.
    cpu: f64,
    /// The share of the machine's CPU time that was idle.
    idle: f64,
}

impl Run {
    /// So many HTTP checks of `target`, each second.
    fn of_fleet(checks: usize, target: &Target, directory: &Path) -> anyhow::Result<Self> {
        let mut config = String::from(EACH_SECOND);
        add_http_services(&mut config, "fleet", target, checks);
        let home = directory.join(checks.to_string());
        std::fs::create_dir(&home)?;
        Self::measure(&config, &home)
    }

    fn measure(config: &str, directory: &Path) -> anyhow::Result<Self> {
        let exporter = Exporter::ready(config, directory)?;
        sleep(Duration::from_secs(3));
        let (cpu, idle, begun) = (exporter.process.cpu()?, idle_seconds()?, Instant::now());
        let before = exporter.scrape()?;
        let mut scrapes = Vec::new();
        for _ in 0..SCRAPES {
            sleep(SCRAPE_INTERVAL);
            let answer = client::get(exporter.address, "/metrics", OPEN_METRICS)?;
            scrapes.push(1e3 * answer.took.as_secs_f64());
        }
        let after = exporter.scrape()?;
        let (_, memory) = exporter.process.memory()?;
        let seconds = begun.elapsed().as_secs_f64();
        let cores = std::thread::available_parallelism()?.get() as f64;
        Ok(Self {
            before,
            after,
            seconds,
            scrapes,
            memory,
            cpu: exporter.process.cpu()? - cpu,
            idle: (idle_seconds()? - idle) / (seconds * cores),
        })
    }

    fn window(&self) -> Window<'_> {
        Window {
            before: &self.before,
            after: &self.after,
        }
    }

    /// The runs of a group that took place, did not take place, and failed.
    fn counts(&self, group: &str) -> (f64, f64, f64) {
        let part = format!("group=\"{group}\"");
        let growth = |name| self.window().growth(name, &part);
        (
            growth("upkeep_check_runs_total"),
            growth("upkeep_check_missed_runs_total"),
            growth("upkeep_check_failures_total"),
        )
    }

    /// Runs of a group that did not take place or failed.
    fn bad(&self, group: &str) -> f64 {
        let (_, missed, failed) = self.counts(group);
        missed + failed
    }
}

/// For how long the CPUs of this machine have been idle, in seconds.
fn idle_seconds() -> anyhow::Result<f64> {
    let total = KernelStats::current()?.total;
    Ok((total.idle + total.iowait.unwrap_or(0)) as f64 / procfs::ticks_per_second() as f64)
}
