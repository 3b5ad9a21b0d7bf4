//! What watching an ordinary machine costs: 50 services with four checks each at the default 15 s, scraped each 15 s.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ordinary;
use crate::exporter::Exporter;
use crate::report::Line;
use crate::target::Target;

const INTERVAL: Duration = Duration::from_secs(15);
const INTERVALS: u32 = 4;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let exporter = Exporter::ready(&ordinary(&target), directory)?;
    let before = exporter.scrape()?;
    let (cpu, begun) = (exporter.process.cpu()?, Instant::now());
    for _ in 0..INTERVALS {
        sleep(INTERVAL);
        exporter.scrape()?;
    }
    let cpu = exporter.process.cpu()? - cpu;
    let seconds = begun.elapsed().as_secs_f64();
    let after = exporter.scrape()?;
    let failures = after.sum("upkeep_check_failures_total", "");
    let runs = after.sum("upkeep_check_runs_total", "") - before.sum("upkeep_check_runs_total", "");
    anyhow::ensure!(
        failures == 0.0 && runs > 0.0,
        "{runs} runs, {failures} failures\n{}",
        exporter.process.log()
    );
    let (now, highest) = exporter.process.memory()?;
    Ok(vec![
        Line::new(
            "idle, 50 services x 4 checks at 15 s: CPU",
            100.0 * cpu / seconds,
            "% of a core",
        )
        .at_most(0.5),
        Line::new("idle, 50 services x 4 checks at 15 s: resident memory", now, "MB").at_most(30.0),
        Line::new(
            "idle, 50 services x 4 checks at 15 s: highest resident memory",
            highest,
            "MB",
        ),
    ])
}
