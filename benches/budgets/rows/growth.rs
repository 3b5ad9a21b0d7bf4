//! How costs grow with the number of checks, at the same number of runs a second.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::add_http_services;
use crate::client;
use crate::exporter::Exporter;
use crate::lag::Window;
use crate::report::{Line, median};
use crate::target::Target;

/// The numbers of checks. The first is too small for a comparison: what every process needs weighs more than its checks.
const CHECKS: [usize; 4] = [100, 1_000, 10_000, 50_000];
/// The runs a second of all checks together.
const RATE: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(15);
const SCRAPES: usize = 7;
const STARTS: usize = 3;
/// How much more one check may cost among the most checks than among 1,000. A straight line has 1.
const STRAIGHT: f64 = 1.5;

/// What one number of checks costs.
struct Cost {
    /// CPU time of a run, in microseconds.
    run: f64,
    /// CPU time of a scrape, in milliseconds.
    scrape: f64,
    /// CPU time from the start to the first served scrape, in milliseconds.
    start: f64,
    /// Highest resident memory, in MB.
    memory: f64,
}

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let mut costs = Vec::new();
    let mut lines = Vec::new();
    for checks in CHECKS {
        let cost = cost_of(checks, &target, &directory.join(checks.to_string()))?;
        for (what, value, unit) in [
            ("CPU for one run", cost.run, "us"),
            ("CPU for one scrape", cost.scrape, "ms"),
            ("CPU from the start to the first scrape", cost.start, "ms"),
            ("highest resident memory", cost.memory, "MB"),
        ] {
            lines.push(Line::new(format!("{checks} checks: {what}"), value, unit));
        }
        costs.push(cost);
    }
    let [_, few, .., most] = costs.as_slice() else {
        unreachable!("there are {} numbers of checks", CHECKS.len());
    };
    let growth = CHECKS[CHECKS.len() - 1] as f64 / CHECKS[1] as f64;
    let title = format!(
        "{} checks, divided by {} checks",
        CHECKS[CHECKS.len() - 1],
        CHECKS[1]
    );
    for (what, ratio) in [
        ("a run", most.run / few.run),
        ("a scrape, per check", most.scrape / few.scrape / growth),
        ("a start, per check", most.start / few.start / growth),
    ] {
        lines.push(Line::new(format!("{title}: {what}"), ratio, "").at_most(STRAIGHT));
    }
    Ok(lines)
}

fn cost_of(checks: usize, target: &Target, directory: &Path) -> anyhow::Result<Cost> {
    let interval = 1_000 * checks / RATE;
    let timeout = interval.min(1_000);
    let mut config = format!(
        "defaults: {{ interval: {interval}ms, timeout: {timeout}ms, recheck_interval: {interval}ms, \
         thresholds: {{ degraded: {timeout}ms, down: {timeout}ms }} }}\nservices:\n"
    );
    add_http_services(&mut config, "growth", target, checks);

    let mut starts = Vec::new();
    for turn in 1..STARTS {
        // Without state, as the first start.
        let exporter = Exporter::start(&config, &directory.join(turn.to_string()))?;
        starts.push(1e3 * exporter.process.cpu()?);
    }
    let exporter = Exporter::start(&config, &directory.join("measured"))?;
    starts.push(1e3 * exporter.process.cpu()?);
    let exporter = exporter.wait_until_ready()?;

    // Reading a scrape of 50,000 checks takes a good part of a second, in which runs are counted too.
    let scraped = Instant::now();
    let before = exporter.scrape()?;
    let (cpu, begun) = (exporter.process.cpu()?, Instant::now());
    sleep(WINDOW);
    let share = (exporter.process.cpu()? - cpu) / begun.elapsed().as_secs_f64();
    let seconds = scraped.elapsed().as_secs_f64();
    let after = exporter.scrape()?;
    let window = Window {
        before: &before,
        after: &after,
    };
    let runs = window.growth("upkeep_check_runs_total", "");
    let failures = window.growth("upkeep_check_failures_total", "");
    ensure!(
        runs > 0.0 && failures == 0.0,
        "{failures} of {runs} runs of {checks} checks failed\n{}",
        exporter.process.log()
    );
    Ok(Cost {
        run: 1e6 * share * seconds / runs,
        scrape: scrape(&exporter, share)?,
        start: median(&starts),
        memory: exporter.process.memory()?.1,
    })
}

/// The CPU time of a scrape in milliseconds. `share` is the share of a core that the checks use meanwhile.
fn scrape(exporter: &Exporter, share: f64) -> anyhow::Result<f64> {
    let mut total = 0.0;
    for _ in 0..SCRAPES {
        // Longer than a rendered body may be kept.
        sleep(Duration::from_millis(130));
        let cpu = exporter.process.cpu()?;
        let answer = client::get(exporter.address, "/metrics", "")?;
        total += exporter.process.cpu()? - cpu - share * answer.took.as_secs_f64();
    }
    Ok(1e3 * total / SCRAPES as f64)
}
