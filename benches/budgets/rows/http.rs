//! CPU time for one HTTP run on a new connection, all that belongs to it included: scheduling, the check, the recording.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::{EACH_SECOND, add_http_services};
use crate::exporter::Exporter;
use crate::lag::Window;
use crate::report::Line;
use crate::target::Target;
use crate::{blackbox, wrk};

/// Enough to keep a good part of a core busy, and far from filling it.
const CHECKS: usize = 4000;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let blackbox = blackbox::measure(&target, 4, directory)?;
    let raw = wrk::run(&target.url(0), 8, 4, true)?;

    let mut config = String::from(EACH_SECOND);
    add_http_services(&mut config, "fleet", &target, CHECKS);
    let exporter = Exporter::ready(&config, directory)?;
    // What the start leaves to be done is not what a run costs.
    sleep(Duration::from_secs(2));
    let before = exporter.scrape()?;
    let cpu = exporter.process.cpu()?;
    sleep(Duration::from_secs(10));
    let cpu = exporter.process.cpu()? - cpu;
    let after = exporter.scrape()?;
    let window = Window {
        before: &before,
        after: &after,
    };
    let runs = window.growth("upkeep_check_runs_total", "");
    let failures = window.growth("upkeep_check_failures_total", "");
    anyhow::ensure!(
        failures == 0.0,
        "{failures} of {runs} runs failed\n{}",
        exporter.process.log()
    );

    let line = Line::new(
        "CPU for one HTTP run, new connection, loopback",
        1e6 * cpu / runs,
        "us",
    )
    .beside("blackbox_exporter", 1e6 * blackbox.cpu)
    .beside("wrk (bare client)", 1e6 * raw.cpu / raw.requests)
    .at_most(60.0);
    Ok(vec![line])
}
