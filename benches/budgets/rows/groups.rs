//! A scrape of process groups on a machine with 1,000 more processes, beside process-exporter with the same file.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use super::scan::Sleepers;
use crate::client;
use crate::exporter::Exporter;
use crate::process::{Process, free_address};
use crate::report::Line;

const PROCESSES: usize = 1000;
const SCRAPES: u32 = 10;
const NAME: &str = "upkeep-group";

/// The rule, which names only these processes: others, such as large compilers, would take most of the time of both programs.
const RULES: &str = "process_names:\n  - name: \"{{.Comm}}\"\n    comm:\n    - upkeep-group\n";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let _sleepers = Sleepers::start(NAME, PROCESSES, directory)?;
    let file = directory.join("all.yaml");
    fs::write(&file, RULES)?;
    let address = free_address()?;
    let mut command = Command::new("prometheus-process-exporter");
    command.arg("-config.path").arg(&file);
    command.args(["-web.listen-address", &address.to_string()]);
    let mut peer = Process::start("process-exporter", &command, directory)?;
    peer.wait_for(address)?;
    let rules = RULES.replacen("process_names", "process_groups", 1);
    let ours = Exporter::start(&rules, directory)?;
    let peer = cost(address, "/metrics", &peer)?;
    let ours = cost(ours.address, "/metrics/processes", &ours.process)?;
    let line = |what: &str, ours: f64, peer: f64| {
        Line::new(
            format!("scrape of process groups with 1,000 processes: {what}"),
            ours,
            "ms",
        )
        .beside("process-exporter", peer)
    };
    Ok(vec![
        line("CPU", ours.0, peer.0).at_most(peer.0 / 4.0),
        line("time", ours.1, peer.1),
    ])
}

/// CPU time and time of one scrape, in milliseconds.
fn cost(address: SocketAddr, path: &str, process: &Process) -> anyhow::Result<(f64, f64)> {
    let scrape = || client::get(address, path, "");
    // The first ones meet processes that are new.
    scrape()?;
    let text = scrape()?.text()?;
    let group = format!("namedprocess_namegroup_num_procs{{groupname=\"{NAME}\"}} {PROCESSES}");
    ensure!(text.contains(&group), "no line {group}");
    let cpu = process.cpu()?;
    let mut took = 0.0;
    for _ in 0..SCRAPES {
        took += scrape()?.took.as_secs_f64();
    }
    let each = |seconds: f64| 1e3 * seconds / f64::from(SCRAPES);
    Ok((each(process.cpu()? - cpu), each(took)))
}
