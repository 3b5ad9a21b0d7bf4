//! `/probe` for one HTTP target, ours and blackbox_exporter's, driven alike: eight clients that keep their connections ask as
//! fast as they are answered.

use std::path::Path;

use anyhow::ensure;

use crate::exporter::Exporter;
use crate::process::{Process, free_address};
use crate::report::Line;
use crate::target::Target;
use crate::wrk::{self, Load};
use crate::{blackbox, client, roles};

/// How much a probe may cost, as a multiple of what a bare relay spends.
const MAX_TIMES: f64 = 1.6;
/// How long each of them is driven.
const SECONDS: u32 = 8;
const CONFIG: &str = "modules: { http_2xx: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } } }\n\
                      probe: { allow: [{ networks: [127.0.0.0/8] }] }\n";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let blackbox = blackbox::measure(&target, SECONDS, directory)?;
    let raw = wrk::run(&target.url(0), 8, SECONDS, true)?;
    let (relay, relayed) = relayed(&target, directory)?;

    let exporter = Exporter::start(CONFIG, directory)?;
    let path = format!("/probe?module=http_2xx&target={}", target.url(0));
    let probe = client::get(exporter.address, &path, "")?.text()?;
    ensure!(probe.contains("\nprobe_success 1"), "our probe fails: {probe}");
    let before = exporter.process.cpu()?;
    let load = wrk::run(&format!("http://{}{path}", exporter.address), 8, SECONDS, false)?;
    let cpu = (exporter.process.cpu()? - before) / load.requests;
    let scrape = exporter.scrape()?;
    let failures = scrape.sum("upkeep_probe_failures_total", "");
    ensure!(
        failures == 0.0,
        "{failures} probes failed\n{}",
        exporter.process.log()
    );

    Ok(vec![
        Line::new("CPU for one /probe of an HTTP target, loopback", 1e6 * cpu, "us")
            .beside("blackbox_exporter", 1e6 * blackbox.cpu)
            .beside("wrk (bare client)", 1e6 * raw.cpu / raw.requests)
            .beside("bare relay", 1e6 * relay),
        Line::new("CPU for one /probe, beside a bare relay's", cpu / relay, "times").at_most(MAX_TIMES),
        Line::new(
            "probes a second, beside blackbox_exporter's",
            load.rate / blackbox.rate,
            "times",
        )
        .beside("bare relay, times", relayed.rate / blackbox.rate)
        .beside("blackbox_exporter, a second", blackbox.rate)
        .beside("ours, a second", load.rate),
    ])
}

/// CPU a request and the load of the bare relay: what is left when a probe is nothing but its two exchanges.
fn relayed(target: &Target, directory: &Path) -> anyhow::Result<(f64, Load)> {
    let address = free_address()?;
    let command = roles::command("relay", &[address, target.address(0)])?;
    let mut relay = Process::start("relay", &command, directory)?;
    relay.wait_for(address)?;
    let before = relay.cpu()?;
    let load = wrk::run(&format!("http://{address}/"), 8, SECONDS, false)?;
    Ok(((relay.cpu()? - before) / load.requests, load))
}
