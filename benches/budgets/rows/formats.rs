//! The size and the time of a scrape of 10,000 checks in every format.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::scrape::{RESTING, scrapes};
use super::{EACH_SECOND, add_http_services};
use crate::client::{self, OPEN_METRICS, PROTOBUF};
use crate::exporter::Exporter;
use crate::report::{Line, median};
use crate::target::Target;

const CHECKS: usize = 10_000;
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
            let (times, megabytes) = scrapes(&exporter, accept)?;
            let compressed = client::get(exporter.address, "/metrics", &gzip(accept))?.body;
            let title = format!("scrape of {CHECKS} checks, {format}");
            lines.push(Line::new(format!("{title}: median"), median(&times), "ms"));
            lines.push(Line::new(format!("{title}: size"), megabytes, "MB"));
            lines.push(Line::new(
                format!("{title}: size with gzip"),
                compressed.len() as f64 / 1e6,
                "MB",
            ));
        }
    }
    Ok(lines)
}
