//! blackbox_exporter, driven as fast as it goes by clients that keep their connections.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::process::{Process, free_address};
use crate::target::Target;
use crate::{client, wrk};

/// Its figures.
#[derive(Debug)]
pub struct Figures {
    /// CPU time for one probe, in seconds.
    pub cpu: f64,
    /// Probes a second.
    pub rate: f64,
}

/// Probes `target` for `seconds`.
pub fn measure(target: &Target, seconds: u32, directory: &Path) -> anyhow::Result<Figures> {
    let file = directory.join("blackbox.yml");
    fs::write(
        &file,
        "modules: { http_2xx: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } } }\n",
    )?;
    let address = free_address()?;
    let mut command = Command::new("prometheus-blackbox-exporter");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--web.listen-address={address}"));
    let mut process = Process::start("blackbox_exporter", &command, directory)?;
    process.wait_for(address)?;

    let path = format!("/probe?module=http_2xx&target={}", target.url(0));
    let probe = client::get(address, &path, "")?.text()?;
    ensure!(
        probe.contains("\nprobe_success 1"),
        "blackbox_exporter's probe fails: {probe}"
    );
    let before = process.cpu()?;
    let load = wrk::run(&format!("http://{address}{path}"), 8, seconds, false)?;
    Ok(Figures {
        cpu: (process.cpu()? - before) / load.requests,
        rate: load.rate,
    })
}
