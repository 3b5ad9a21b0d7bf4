//! From the start of the process to its first served scrape.

use std::path::Path;

use super::ordinary;
use crate::exporter::Exporter;
use crate::report::{Line, median, quantile};
use crate::target::Target;

const STARTS: usize = 10;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let config = ordinary(&target);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let exporter = Exporter::start(&config, directory)?;
        times.push(1e3 * exporter.startup.as_secs_f64());
    }
    Ok(vec![
        Line::new(
            "start to first served scrape, 50 services: median of 10",
            median(&times),
            "ms",
        )
        .at_most(200.0),
        Line::new(
            "start to first served scrape, 50 services: slowest",
            quantile(&times, 1.0),
            "ms",
        ),
    ])
}
