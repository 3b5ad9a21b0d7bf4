//! From the moment systemd knows that a unit failed until a scrape shows it, on a real systemd in namespaces of its own.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

use crate::common::systemd::Machine;
use crate::exporter::Exporter;
use crate::report::{Line, median, quantile};

const FAILURES: usize = 10;
const UNIT: &str = "upkeep-bench.service";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let machine = Machine::boot();
    machine.write_unit(UNIT, "[Service]\nExecStart=/bin/sleep 600\n");
    machine.run(&format!("systemctl daemon-reload; systemctl start {UNIT}"));
    let config = format!(
        "defaults: {{ interval: 1h, recheck_interval: 1h }}\n\
         services: [{{ key: unit, group: bench, checks: [{{ kind: systemd, unit: {UNIT}, bus_address: \"{}\" }}] }}]\n",
        machine.bus_address()
    );
    let exporter = Exporter::ready(&config, directory)?;
    let mut times = Vec::new();
    for _ in 0..FAILURES {
        wait_for(&exporter, "active")?;
        // News that come sooner than 100 ms after others wait for that; this is about a unit that has been at rest.
        sleep(Duration::from_millis(300));
        let seen = std::thread::scope(|scope| {
            let seen = scope.spawn(|| wait_for(&exporter, "failed"));
            machine.run(&format!("systemctl kill --signal=KILL {UNIT}"));
            seen.join()
                .map_err(|_| anyhow::anyhow!("the scraping thread panicked"))?
        })?;
        let failed = machine.run(&format!(
            "systemctl show --property=InactiveEnterTimestampMonotonic --value {UNIT}"
        ));
        let failed: f64 = failed.trim().parse().context("the unit's time of failure")?;
        times.push(seen - failed / 1e3);
        machine.run(&format!("systemctl reset-failed {UNIT}; systemctl start {UNIT}"));
    }
    let cpu = exporter.process.cpu()?;
    sleep(Duration::from_secs(5));
    let cpu = exporter.process.cpu()? - cpu;
    Ok(vec![
        Line::new(
            "unit failure to metric: slowest of 10",
            quantile(&times, 1.0),
            "ms",
        )
        .at_most(100.0),
        Line::new("unit failure to metric: median", median(&times), "ms"),
        Line::new(
            "unit checks while nothing changes: CPU",
            100.0 * cpu / 5.0,
            "% of a core",
        ),
    ])
}

/// Scrapes until the unit is in `state`. Returns the monotonic clock, in milliseconds.
fn wait_for(exporter: &Exporter, state: &str) -> anyhow::Result<f64> {
    let begun = Instant::now();
    while exporter
        .scrape()?
        .sum("upkeep_systemd_unit_state", &format!("state=\"{state}\""))
        != 1.0
    {
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("no scrape shows the unit {state}\n{}", exporter.process.log());
        }
        sleep(Duration::from_millis(1));
    }
    let now = clock_gettime(ClockId::Monotonic);
    Ok(now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6)
}
