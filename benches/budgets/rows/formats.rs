//! The size and the time of a scrape of 10,000 checks in every format.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::scrape::{RESTING, scrapes};
use super::{EACH_SECOND, add_http_services};
use crate::client::{OPEN_METRICS, PROTOBUF};
use crate::exporter::Exporter;
use crate::report::{Line, median};
use crate::target::Target;

const CHECKS: usize = 10_000;
/// The most that a scrape may take, in milliseconds.
const BUDGET: f64 = 150.0;
/// How long the checks run every second, so that their histograms have several buckets.
const RUNNING: Duration = Duration::from_secs(20);
/// How long the exporter needs after a reload, so that it does nothing else when it is scraped.
const SETTLING: Duration = Duration::from_secs(5);

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let config = |head: &str| {
        let mut config = head.to_owned();
        add_http_services(&mut config, "fleet", &target, CHECKS);
        config
    };
    let gzip = |accept: &str| format!("{accept}Accept-Encoding: gzip\r\n");
    let mut lines = Vec::new();
    for (flags, formats) in [
        (
            &[][..],
            &[
                ("classic text", ""),
                ("OpenMetrics", OPEN_METRICS),
                ("Protocol Buffers", PROTOBUF),
            ][..],
        ),
        (
            &["--metrics.native-histograms"],
            &[("Protocol Buffers with native histograms", PROTOBUF)],
        ),
    ] {
        let exporter = Exporter::ready_with(flags, &config(EACH_SECOND), directory)?;
        sleep(RUNNING);
        // The counters and histograms of checks survive a change of their settings.
        fs::write(directory.join("upkeep.yml"), config(RESTING))?;
        exporter.process.hang_up()?;
        sleep(SETTLING);
        for (format, accept) in formats {
            for (encoding, headers) in [("", (*accept).to_owned()), (" with gzip", gzip(accept))] {
                let cpu = exporter.process.cpu()?;
                let (times, megabytes) = scrapes(&exporter, &headers)?;
                let cpu = 1e3 * (exporter.process.cpu()? - cpu) / times.len() as f64;
                let title = format!("scrape of {CHECKS} checks, {format}{encoding}");
                lines.push(Line::new(format!("{title}: median"), median(&times), "ms").at_most(BUDGET));
                lines.push(Line::new(format!("{title}: CPU of the exporter"), cpu, "ms"));
                lines.push(Line::new(format!("{title}: size"), megabytes, "MB"));
            }
        }
        let memory = exporter.process.memory()?.1;
        let title = format!("{CHECKS} checks, scraped in {} formats", formats.len());
        lines.push(Line::new(
            format!("{title}: highest resident memory"),
            memory,
            "MB",
        ));
    }
    Ok(lines)
}
