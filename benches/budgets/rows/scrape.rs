//! Scrapes of 100,000 series, while nothing changes and while each check runs each second.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{EACH_SECOND, add_http_services};
use crate::client::{self, OPEN_METRICS};
use crate::exporter::Exporter;
use crate::report::{Line, median, quantile};
use crate::target::Target;

const SERIES: usize = 100_000;
const SCRAPES: usize = 50;
const BUDGET: f64 = 60.0;

/// A configuration whose checks run once and then rest.
pub const RESTING: &str =
    "defaults: { interval: 1h, timeout: 1s, thresholds: { degraded: 500ms, down: 1s } }\nservices:\n";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let checks = checks_for(SERIES, &target, directory)?;
    let alone = library_alone();
    let mut lines = Vec::new();
    for (state, head) in [("at rest", RESTING), ("under load", EACH_SECOND)] {
        let mut config = String::from(head);
        add_http_services(&mut config, "fleet", &target, checks);
        let exporter = Exporter::ready(&config, directory)?;
        let series = exporter.scrape()?.len();
        anyhow::ensure!(series >= SERIES, "only {series} series from {checks} checks");
        for (format, accept, budget) in [
            ("OpenMetrics", OPEN_METRICS.to_owned(), Some(BUDGET)),
            ("classic", String::new(), Some(BUDGET)),
            (
                "OpenMetrics, gzip",
                format!("{OPEN_METRICS}Accept-Encoding: gzip\r\n"),
                None,
            ),
        ] {
            let (times, megabytes) = scrapes(&exporter, &accept)?;
            let title = format!("scrape of {series} series {state}, {format}, {megabytes:.1} MB");
            let line = Line::new(format!("{title}: median"), median(&times), "ms")
                .beside("prometheus-client alone", alone);
            lines.push(budget.into_iter().fold(line, Line::at_most));
            lines.push(Line::new(format!("{title}: p99"), quantile(&times, 0.99), "ms"));
        }
    }
    Ok(lines)
}

/// How many HTTP checks, four to a service, have that many series.
fn checks_for(series: usize, target: &Target, directory: &Path) -> anyhow::Result<usize> {
    const SAMPLE: usize = 100;
    let mut config = String::from(RESTING);
    add_http_services(&mut config, "fleet", target, SAMPLE);
    let exporter = Exporter::ready(&config, directory)?;
    let of_services = exporter.scrape()?.count("service=\"");
    Ok((series * SAMPLE).div_ceil(of_services).next_multiple_of(4))
}

/// Milliseconds of each scrape, and the size of the last one in MB.
pub fn scrapes(exporter: &Exporter, headers: &str) -> anyhow::Result<(Vec<f64>, f64)> {
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..SCRAPES {
        // Longer than any rendered body may be kept, and not in step with the checks.
        sleep(Duration::from_millis(130));
        let answer = client::get(exporter.address, "/metrics", headers)?;
        times.push(1e3 * answer.took.as_secs_f64());
        size = answer.body.len();
    }
    Ok((times, size as f64 / 1e6))
}

/// What the encoder of prometheus-client takes for as many gauges with three labels, in milliseconds.
fn library_alone() -> f64 {
    let family = Family::<Vec<(String, String)>, Gauge>::default();
    for number in 0..SERIES {
        let label = |name: &str, value: String| (name.to_owned(), value);
        let labels = vec![
            label("service", format!("service-{number}")),
            label("group", "fleet".into()),
            label("check", "http".into()),
        ];
        family.get_or_create(&labels).set(1);
    }
    let mut registry = Registry::default();
    registry.register("upkeep_check_success", "A gauge", family);
    let times: Vec<f64> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            let mut text = String::new();
            // Writing to a String can't fail.
            let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
            1e3 * begun.elapsed().as_secs_f64()
        })
        .collect();
    median(&times)
}
