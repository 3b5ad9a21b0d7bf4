//! 10,000 HTTP checks each second: with targets that answer, and with targets that all hang.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{EACH_SECOND, add_http_services};
use crate::blackbox;
use crate::client::{self, OPEN_METRICS};
use crate::exporter::Exporter;
use crate::exposition::Scrape;
use crate::lag::Window;
use crate::report::{Line, quantile};
use crate::target::Target;

const CHECKS: usize = 10_000;
/// Checks of targets that answer, beside those that hang.
const HEALTHY: usize = 200;
/// From one scrape to the next: more often than an ordinary Prometheus, whose 15 s would make the row too long.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
const SCRAPES: usize = 4;

pub fn answering(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let blackbox = blackbox::measure(&target, 4, directory)?;
    let mut config = String::from(EACH_SECOND);
    add_http_services(&mut config, "fleet", &target, CHECKS);
    let run = Run::measure(&config, directory)?;
    let window = run.window();
    let title = "10,000 HTTP checks at 1 s";
    Ok(vec![
        Line::new(
            format!("{title}: runs a second"),
            window.growth("upkeep_check_runs_total", "") / run.seconds,
            "",
        )
        .beside("blackbox_exporter at most", blackbox.rate),
        Line::new(format!("{title}: missed or failed runs"), run.bad("fleet"), "").at_most(0.0),
        Line::new(format!("{title}: p99 of the start's lag"), window.lag(0.99), "ms").at_most(50.0),
        Line::new(format!("{title}: highest resident memory"), run.memory, "MB").at_most(250.0),
        Line::new(
            format!("{title}: CPU"),
            100.0 * run.cpu / run.seconds,
            "% of a core",
        ),
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
        .at_most(250.0),
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
        Line::new(format!("{title}: highest resident memory"), run.memory, "MB").at_most(500.0),
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
}

impl Run {
    fn measure(config: &str, directory: &Path) -> anyhow::Result<Self> {
        let exporter = Exporter::ready(config, directory)?;
        sleep(Duration::from_secs(3));
        let (cpu, begun) = (exporter.process.cpu()?, Instant::now());
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
        Ok(Self {
            before,
            after,
            seconds,
            scrapes,
            memory,
            cpu: exporter.process.cpu()? - cpu,
        })
    }

    fn window(&self) -> Window<'_> {
        Window {
            before: &self.before,
            after: &self.after,
        }
    }

    /// Runs of a group that did not take place or failed.
    fn bad(&self, group: &str) -> f64 {
        let part = format!("group=\"{group}\"");
        let window = self.window();
        window.growth("upkeep_check_missed_runs_total", &part)
            + window.growth("upkeep_check_failures_total", &part)
    }
}
