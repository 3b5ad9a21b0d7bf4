//! The rows of the table, one file each.

mod components;
mod fleet;
mod formats;
mod groups;
mod growth;
mod history;
mod host;
mod http;
mod idle;
mod packages;
mod page;
mod port;
mod probe;
mod provider;
mod resources;
mod scan;
mod scrape;
mod start;
mod state;
mod unit;

use std::fmt::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;

use crate::exporter::Exporter;
use crate::exposition::Scrape;
use crate::report::{Line, median};
use crate::target::Target;

/// Something that is measured.
pub struct Row {
    /// How it is chosen on the command line.
    pub name: &'static str,
    /// What it does, for the one who waits.
    pub what: &'static str,
    /// Measures it, with its files in an empty directory.
    pub measure: fn(&Path) -> anyhow::Result<Vec<Line>>,
}

/// All rows.
pub const ROWS: &[Row] = &[
    Row {
        name: "http",
        what: "CPU time for one HTTP run",
        measure: http::measure,
    },
    Row {
        name: "probe",
        what: "/probe beside blackbox_exporter",
        measure: probe::measure,
    },
    Row {
        name: "fleet",
        what: "10,000 HTTP checks at 1 s",
        measure: fleet::answering,
    },
    Row {
        name: "hang",
        what: "10,000 HTTP checks at 1 s whose targets hang",
        measure: fleet::hanging,
    },
    Row {
        name: "state",
        what: "saving the state of 10,000 checks at 1 s",
        measure: state::measure,
    },
    Row {
        name: "scrape",
        what: "scrapes of 100,000 series",
        measure: scrape::measure,
    },
    Row {
        name: "formats",
        what: "scrapes of 10,000 checks in every format",
        measure: formats::measure,
    },
    Row {
        name: "scan",
        what: "scans of /proc with 1,000 processes",
        measure: scan::measure,
    },
    Row {
        name: "groups",
        what: "scrapes of process groups beside process-exporter",
        measure: groups::measure,
    },
    Row {
        name: "port",
        what: "port checks with 50,000 sockets",
        measure: port::measure,
    },
    Row {
        name: "unit",
        what: "from a unit's failure to the metric",
        measure: unit::measure,
    },
    Row {
        name: "resources",
        what: "resources of 1,000 units at 1 s",
        measure: resources::measure,
    },
    Row {
        name: "components",
        what: "what checks of components cost, us and the servers",
        measure: components::measure,
    },
    Row {
        name: "python",
        what: "a python check of 500 packages",
        measure: packages::python,
    },
    Row {
        name: "node",
        what: "a node check of 500 packages",
        measure: packages::node,
    },
    Row {
        name: "provider",
        what: "a provider check of 2,000 models",
        measure: provider::measure,
    },
    Row {
        name: "host",
        what: "a host check with all file systems",
        measure: host::measure,
    },
    Row {
        name: "page",
        what: "the status page of 1,000 services",
        measure: page::measure,
    },
    Row {
        name: "history",
        what: "keeping the history of 1,000 services",
        measure: history::measure,
    },
    Row {
        name: "idle",
        what: "50 services with four checks each at 15 s",
        measure: idle::measure,
    },
    Row {
        name: "start",
        what: "from the start to the first scrape",
        measure: start::measure,
    },
    Row {
        name: "growth",
        what: "costs of 100 to 50,000 checks",
        measure: growth::measure,
    },
];

/// The head of a configuration whose checks run each second and have a second to answer.
const EACH_SECOND: &str = "defaults: { interval: 1s, timeout: 1s, recheck_interval: 1s, \
    thresholds: { degraded: 500ms, down: 1s } }\nservices:\n";

/// The number of runs that [`cost_every_second`] measures.
const RUNS: usize = 15;

/// The cost of a run.
struct Cost {
    /// The median duration of a run, in milliseconds.
    duration: f64,
    /// The CPU time of the exporter for one run, in milliseconds. It includes one scrape.
    cpu: f64,
    /// The highest resident memory of the exporter, in MB.
    memory: f64,
    /// The metrics before the first run.
    before: Scrape,
    /// The metrics after the last run.
    after: Scrape,
}

/// Runs a check with these keys every second.
fn cost_every_second(keys: &str, directory: &Path) -> anyhow::Result<Cost> {
    std::fs::create_dir_all(directory)?;
    let config = format!(
        "services: [{{ key: measured, group: bench, checks: [{{ {keys}, interval: 1s, timeout: 1s, recheck_interval: 1s }}] }}]\n"
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
    ensure!(
        runs > 0.0 && failures == 0.0,
        "{runs} runs, {failures} failures\n{}",
        exporter.process.log()
    );
    Ok(Cost {
        duration: median(&times),
        cpu: 1e3 * cpu / runs,
        memory: exporter.process.memory()?.1,
        before,
        after,
    })
}

/// Adds services of `group` with four HTTP checks of `target` each, `checks` in all, each at an address of its own.
fn add_http_services(config: &mut String, group: &str, target: &Target, checks: usize) {
    for number in 0..checks {
        let url = target.url(number);
        // Writing to a String can't fail.
        let _ = match number % 4 {
            0 => writeln!(
                config,
                "  - key: {group}-{number}\n    group: {group}\n    checks:"
            ),
            _ => Ok(()),
        };
        let _ = writeln!(config, "      - {{ kind: http, url: \"{url}\" }}");
    }
}

/// The configuration of an ordinary machine: 50 services with four checks each, at the default settings.
fn ordinary(target: &Target) -> String {
    let mut config = String::from("services:\n");
    for number in 0..50 {
        let (url, group) = (target.url(number), number % 5);
        let address = crate::target::address(number);
        // Writing to a String can't fail.
        let _ = writeln!(
            config,
            "  - key: service-{number}\n    group: group-{group}\n    checks:\n      - {{ kind: http, url: \"{url}\" }}\n      \
             - {{ kind: http, name: api, url: \"{url}api\" }}\n      - {{ kind: tcp, address: \"{address}:{}\" }}\n      \
             - {{ kind: process, match: [nginx] }}",
            target.port
        );
    }
    config
}
