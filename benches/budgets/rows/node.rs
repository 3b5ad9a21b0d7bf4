//! A run of a node check on 500 packages, with a lock file and the requirements of every package.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;

use crate::common::node_packages;
use crate::exporter::Exporter;
use crate::report::{Line, median};

const PACKAGES: usize = 500;
const RUNS: usize = 15;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let (few, many) = (directory.join("few"), directory.join("many"));
    node_packages::write(&few, 1);
    node_packages::write(&many, PACKAGES);
    let (_, _, without) = run(&few, &directory.join("exporter-few"))?;
    let (took, cpu, with) = run(&many, &directory.join("exporter-many"))?;
    let title = "node check of 500 packages";
    Ok(vec![
        Line::new(title, took, "ms").at_most(50.0),
        Line::new(format!("{title}: CPU"), cpu, "ms"),
        Line::new(
            format!("{title}: highest memory, compared with 1 package"),
            with - without,
            "MB",
        )
        .at_most(20.0),
    ])
}

/// The median duration and the CPU time of a run in milliseconds, and the highest memory in MB.
fn run(project: &Path, directory: &Path) -> anyhow::Result<(f64, f64, f64)> {
    std::fs::create_dir_all(directory)?;
    let project = project.display();
    let config = format!(
        "services: [{{ key: packages, group: bench, checks: [{{ kind: node, directory: \"{project}\", transitive: true, extra: true, \
         interval: 1s, timeout: 1s, recheck_interval: 1s }}] }}]\n"
    );
    let exporter = Exporter::ready(&config, directory)?;
    let (before, cpu) = (exporter.scrape()?, exporter.process.cpu()?);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        sleep(Duration::from_secs(1));
        times.push(1e3 * exporter.scrape()?.sum("upkeep_check_last_duration_seconds", ""));
    }
    let cpu = exporter.process.cpu()? - cpu;
    let after = exporter.scrape()?;
    let runs = after.sum("upkeep_check_runs_total", "") - before.sum("upkeep_check_runs_total", "");
    let failures = after.sum("upkeep_check_failures_total", "");
    ensure!(runs > 0.0 && failures == 0.0, "{runs} runs, {failures} failures");
    Ok((median(&times), 1e3 * cpu / runs, exporter.process.memory()?.1))
}
