//! The status page of 1,000 services whose whole history has outages, so that their strips are as long as they can be.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use upkeep_exporter::history::{Change, Recorder, save_copy};
use upkeep_exporter::model::{CheckName, PastStatus, Reason, ServiceKey, Status};
use upkeep_exporter::store::{ResponseTotals, StateDir};

use crate::client;
use crate::exporter::Exporter;
use crate::report::{Line, median, quantile};
use crate::target::Target;

/// The number of services.
pub const SERVICES: usize = 1000;
/// How often each page is requested.
const REQUESTS: usize = 30;
/// The pages, and what they show.
const PAGES: [(&str, &str); 3] = [
    ("/", "status page of 1,000 services, 24 hours"),
    ("/?history=90d", "status page of 1,000 services, 90 days"),
    ("/service/service-0?history=90d", "page of a service, 90 days"),
];

/// In milliseconds.
const MINUTE: i64 = 60_000;
const FIVE_MINUTES: i64 = 5 * MINUTE;
const DAY: i64 = 24 * 60 * MINUTE;

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let target = Target::nginx(directory)?;
    let state = directory.join("state");
    std::fs::create_dir(&state)?;
    save_copy(StateDir::new(state), &history()?)?;
    let mut config = String::from("defaults: { interval: 60s }\nservices:\n");
    for number in 0..SERVICES {
        let (address, group) = (target.address(number), number % 20);
        // Writing to a String can't fail.
        let _ = writeln!(
            config,
            "  - {{ key: service-{number}, group: group-{group}, checks: [{{ kind: tcp, address: \"{address}\" }}] }}"
        );
    }
    let exporter = Exporter::ready(&config, directory)?;
    let mut lines = Vec::new();
    for (path, title) in PAGES {
        let page = client::get(exporter.address, path, "")?.body;
        let compressed = client::get(exporter.address, path, "Accept-Encoding: gzip\r\n")?.body;
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let took = client::get(exporter.address, path, "")?.took;
            times.push(1e3 * took.as_secs_f64());
        }
        let megabytes = |body: &[u8]| body.len() as f64 / 1e6;
        lines.push(Line::new(format!("{title}: median"), median(&times), "ms").at_most(100.0));
        lines.push(Line::new(
            format!("{title}: slowest of {REQUESTS}"),
            quantile(&times, 1.0),
            "ms",
        ));
        lines.push(Line::new(format!("{title}: size"), megabytes(&page), "MB").at_most(2.0));
        lines.push(Line::new(
            format!("{title}: size with gzip"),
            megabytes(&compressed),
            "MB",
        ));
    }
    Ok(lines)
}

/// 90 days of each service until now. Neighbouring marks of a strip differ: a minute down, then a minute degraded.
fn history() -> anyhow::Result<Recorder> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut recorder = Recorder::default();
    for number in 0..SERVICES {
        let (record, capacity) = recorder.restore(ServiceKey::new(format!("service-{number}")));
        let mut responses = ResponseTotals::default();
        responses.add(Duration::from_millis(20 + number as u64 % 50));
        // In whole buckets, so that each mark has only one problem.
        for day in now / DAY - 89..now / DAY {
            let begin = day * DAY;
            record.add(problem(day), begin, begin + MINUTE, capacity);
            record.add(PastStatus::Up, begin + MINUTE, begin + 10 * MINUTE, capacity);
        }
        for part in now / FIVE_MINUTES - 287..now / FIVE_MINUTES {
            let begin = part * FIVE_MINUTES;
            record.add(problem(part / 6), begin, begin + MINUTE, capacity);
            record.add(PastStatus::Up, begin + MINUTE, begin + FIVE_MINUTES, capacity);
            record.add_responses(&responses, begin, capacity);
        }
        for ago in (1..200).rev() {
            let is_down = ago % 2 == 0;
            let change = Change {
                at: now - ago * 7 * MINUTE,
                check: is_down.then(|| CheckName::new("tcp")),
                status: if is_down { Status::Down } else { Status::Up },
                reason: is_down.then_some(Reason::Refused),
                in_maintenance: false,
            };
            record.restore_change(change, capacity);
        }
    }
    Ok(recorder)
}

/// The problem in a part of a strip.
const fn problem(number: i64) -> PastStatus {
    match number % 2 {
        0 => PastStatus::Down,
        _ => PastStatus::Degraded,
    }
}
