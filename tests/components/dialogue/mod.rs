//! Tests of the dialogues of tcp and unix checks with real servers and with servers that misbehave.

mod faults;
mod servers;

use std::time::{Duration, Instant};

use upkeep_exporter::model::{DebugLog, Report};

use crate::common::ran::{LONG, Ran, SHORT, check};

/// Runs a new check with these keys once, like a probe with a debug log.
async fn within(limit: Duration, keys: &str) -> Ran {
    let mut check = check(keys);
    let mut report = Report {
        debug_log: Some(DebugLog::new()),
        probe: Some(Vec::new()),
        ..Report::default()
    };
    let started = Instant::now();
    let result = tokio::time::timeout(limit, check.run(&mut report)).await.ok();
    Ran {
        result,
        report,
        took: started.elapsed(),
    }
}

async fn once(keys: &str) -> Ran {
    within(LONG, keys).await
}

async fn shortly(keys: &str) -> Ran {
    within(SHORT, keys).await
}

/// The value of a probe sample without labels.
#[track_caller]
fn probed(ran: &Ran, name: &str) -> f64 {
    let samples = ran.report.probe.as_ref().unwrap().iter();
    let found: Vec<_> = samples.filter(|sample| sample.family.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].value
}

/// Whether the probe failed because of a line, and because of other bytes.
#[track_caller]
fn failed_due_to(ran: &Ran) -> (f64, f64) {
    (
        probed(ran, "probe_failed_due_to_regex"),
        probed(ran, "probe_failed_due_to_bytes"),
    )
}

/// The labels of every sample of `probe_expect_info`.
fn found(ran: &Ran) -> Vec<String> {
    let samples = ran.report.probe.as_ref().unwrap().iter();
    samples
        .filter(|sample| sample.family.name == "probe_expect_info")
        .map(|sample| {
            assert!((sample.value - 1.0).abs() < f64::EPSILON);
            let pairs = sample.family.labels.iter().zip(&sample.labels);
            let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join(",")
        })
        .collect()
}

/// The lines of the debug log.
fn debug_log(ran: &Ran) -> Vec<String> {
    let lines = ran.report.debug_log.as_ref().unwrap().lines();
    lines.iter().map(|(_, line)| line.clone()).collect()
}
