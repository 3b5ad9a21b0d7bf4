//! What saving the state costs: 10,000 checks at 1 s, of which a few change each second.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::EACH_SECOND;
use crate::exporter::Exporter;
use crate::report::Line;
use crate::target::Target;

/// Services with four tcp checks each. They cost less than http checks, so that the machine is not overloaded: then many checks would change.
const QUIET: usize = 2460;
/// Services with four http checks each, of one file of nginx. Without the file, the service is down.
const CHANGING: usize = 40;
/// From one change of a file to the next. Each file exists for ten seconds, and is missing for ten seconds.
const CHANGE_INTERVAL: Duration = Duration::from_millis(250);
/// Twice the time between two copies of the whole state, so that there are two of them.
const WINDOW: Duration = Duration::from_secs(60);

/// The thread that saves the state.
const THREAD: &str = "state";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let files = directory.join("files");
    fs::create_dir(&files)?;
    let target = Target::nginx_with_files(&files)?;
    let flag = |number: usize| files.join(format!("flag-{number}"));
    for number in 0..CHANGING {
        fs::write(flag(number), "ok\n")?;
    }
    let exporter = Exporter::ready(&config(&target), directory)?;
    sleep(Duration::from_secs(3));
    let (before, scrape) = (exporter.process.thread(THREAD)?, exporter.scrape()?);
    let begun = Instant::now();
    let mut changes = 0;
    while begun.elapsed() < WINDOW {
        let path = flag(changes % CHANGING);
        if (changes / CHANGING).is_multiple_of(2) {
            fs::remove_file(path)?;
        } else {
            fs::write(path, "ok\n")?;
        }
        changes += 1;
        sleep(CHANGE_INTERVAL);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (after, last) = (exporter.process.thread(THREAD)?, exporter.scrape()?);
    let saved = last.sum("upkeep_state_last_save_successful", "");
    ensure!(saved == 1.0, "the state is not saved\n{}", exporter.process.log());
    let growth = |name: &str| last.sum(name, "") - scrape.sum(name, "");
    let copy = fs::metadata(directory.join("state/state.json"))?.len();
    let title = "10,000 checks at 1 s, state file";
    Ok(vec![
        Line::new(
            format!("{title}: changes of services a second"),
            growth("upkeep_service_status_changes_total") / seconds,
            "",
        ),
        Line::new(
            format!("{title}: size of a copy of the whole state"),
            copy as f64 / 1e6,
            "MB",
        ),
        Line::new(
            format!("{title}: CPU"),
            100.0 * (after.cpu - before.cpu) / seconds,
            "% of a core",
        )
        .at_most(1.5),
        Line::new(
            format!("{title}: written a second"),
            (after.written - before.written) as f64 / 1e3 / seconds,
            "kB",
        )
        .at_most(400.0),
    ])
}

fn config(target: &Target) -> String {
    let mut config = String::from(EACH_SECOND);
    for service in 0..QUIET + CHANGING {
        // Writing to a String can't fail.
        let _ = writeln!(config, "  - key: state-{service}\n    group: state\n    checks:");
        for check in 0..4 {
            let address = target.address(4 * service + check);
            let _ = match service.checked_sub(QUIET) {
                None => writeln!(config, "      - {{ kind: tcp, address: \"{address}\" }}"),
                Some(flag) => writeln!(
                    config,
                    "      - {{ kind: http, url: \"http://{address}/flag-{flag}\" }}"
                ),
            };
        }
    }
    config
}
