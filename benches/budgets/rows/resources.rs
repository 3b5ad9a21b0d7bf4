//! What measuring the resources of units costs: checks of a thousand units each second, with and without it, on a real systemd.

use std::fmt::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::systemd::Machine;
use crate::exporter::Exporter;
use crate::report::Line;

const UNITS: usize = 1000;
/// Long enough for several readings of every unit.
const WINDOW: Duration = Duration::from_secs(30);
/// Both variants take turns, so that a slow moment of the machine does not hit one of them alone.
const TURNS: usize = 2;

pub fn measure(_: &Path) -> anyhow::Result<Vec<Line>> {
    let machine = Machine::boot_with_controllers();
    machine.write_unit(
        "bench@.service",
        "[Service]\nExecStart=/bin/sleep infinity\nCPUAccounting=yes\nMemoryAccounting=yes\nTasksAccounting=yes\n",
    );
    machine.run(&format!("systemctl start $(seq -f 'bench@%g.service' {UNITS})"));
    let (mut without, mut with) = (0.0, 0.0);
    for turn in 0..TURNS {
        without += run(&machine, false, &format!("without-{turn}"))?;
        with += run(&machine, true, &format!("with-{turn}"))?;
    }
    let turns = TURNS as f64;
    Ok(vec![
        Line::new(
            "systemd check: CPU per run, resources: false",
            without / turns,
            "us",
        ),
        Line::new("systemd check: CPU per run, with resources", with / turns, "us"),
        Line::new(
            "systemd check: added by resources",
            100.0 * (with / without - 1.0),
            "%",
        )
        .at_most(30.0),
    ])
}

/// CPU time of one run in microseconds, with one scrape.
fn run(machine: &Machine, is_measured: bool, name: &str) -> anyhow::Result<f64> {
    let mut config =
        String::from("defaults: { interval: 1s, timeout: 5s, recheck_interval: 1s }\nservices:\n");
    for number in 1..=UNITS {
        // Writing to a String can't fail.
        let _ = writeln!(
            config,
            "  - {{ key: unit-{number}, group: bench, checks: [{{ kind: systemd, unit: bench@{number}.service, \
             resources: {is_measured} }}] }}"
        );
    }
    let exporter = Exporter::ready_in(machine, &config, name)?;
    let before = exporter.scrape()?;
    let (cpu, begun) = (exporter.process.cpu()?, Instant::now());
    sleep(WINDOW.saturating_sub(begun.elapsed()));
    let cpu = exporter.process.cpu()? - cpu;
    let after = exporter.scrape()?;
    let runs = after.sum("upkeep_check_runs_total", "") - before.sum("upkeep_check_runs_total", "");
    let failures = after.sum("upkeep_check_failures_total", "");
    let measured = after.count("upkeep_systemd_unit_tasks{");
    let expected = if is_measured { UNITS } else { 0 };
    anyhow::ensure!(
        failures == 0.0 && runs > 0.0 && measured == expected,
        "{runs} runs, {failures} failures, {measured} units are measured\n{}",
        exporter.process.log()
    );
    Ok(1e6 * cpu / runs)
}
