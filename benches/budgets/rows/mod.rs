//! The rows of the table, one file each.

mod components;
mod fleet;
mod http;
mod idle;
mod node;
mod port;
mod probe;
mod python;
mod resources;
mod scan;
mod scrape;
mod start;
mod unit;

use std::fmt::Write;
use std::path::Path;

use crate::report::Line;
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
        name: "scrape",
        what: "scrapes of 100,000 series",
        measure: scrape::measure,
    },
    Row {
        name: "scan",
        what: "scans of /proc with 1,000 processes",
        measure: scan::measure,
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
        measure: python::measure,
    },
    Row {
        name: "node",
        what: "a node check of 500 packages",
        measure: node::measure,
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
];

/// The head of a configuration whose checks run each second and have a second to answer.
const EACH_SECOND: &str = "defaults: { interval: 1s, timeout: 1s, recheck_interval: 1s, \
    thresholds: { degraded: 500ms, down: 1s } }\nservices:\n";

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
