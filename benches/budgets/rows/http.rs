//! CPU time for one HTTP run on a new connection, all that belongs to it included: scheduling, the check, the recording.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::{EACH_SECOND, add_http_services};
use crate::bare_client::{self, RATE, WINDOW};
use crate::blackbox;
use crate::exporter::Exporter;
use crate::lag::Window;
use crate::report::Line;
use crate::target::Target;

/// Enough to keep a good part of a core busy, and far from filling it.
const CHECKS: usize = RATE as usize;
/// How much a run may cost, as a multiple of what a bare client spends at the same pace.
const MAX_TIMES: f64 = 1.6;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let blackbox = blackbox::measure(&target, 4, directory)?;
    let bare = bare_client::measure(&target)?;

    let mut config = String::from(EACH_SECOND);
    add_http_services(&mut config, "fleet", &target, CHECKS);
    let exporter = Exporter::ready(&config, directory)?;
    // What the start leaves to be done is not what a run costs.
    sleep(Duration::from_secs(2));
    let before = exporter.scrape()?;
    let cpu = exporter.process.cpu()?;
    sleep(WINDOW);
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

    let each = cpu / runs;
    Ok(vec![
        Line::new("CPU for one HTTP run, new connection, loopback", 1e6 * each, "us")
            .beside("blackbox_exporter", 1e6 * blackbox.cpu)
            .beside("bare client at the same pace", 1e6 * bare),
        Line::new(
            "CPU for one HTTP run, beside a bare client's at the same pace",
            each / bare,
            "times",
        )
        .at_most(MAX_TIMES),
    ])
}
