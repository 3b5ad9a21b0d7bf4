//! Too little time: the exporter is stopped for a while, or gets only a twentieth of a core.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::targets::{Target, ok};
use crate::limited::{Limited, Metrics};

/// Services with an http check of `url`.
fn http(prefix: &str, count: usize, url: &str) -> Vec<String> {
    (0..count)
        .map(|number| {
            format!("  - {{ key: {prefix}{number}, group: g, checks: [{{ kind: http, url: '{url}' }}] }}")
        })
        .collect()
}

/// Returns whether the target that hangs is down. Panics if a healthy service is down.
fn is_hanging_down(metrics: &Metrics, exporter: &Limited) -> bool {
    let down = metrics.services("down");
    let good: Vec<_> = down
        .iter()
        .filter(|service| service.starts_with("good"))
        .collect();
    assert!(good.is_empty(), "{good:?}\n{}", exporter.server.log());
    down.contains(&"hanging0")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_takes_no_service_down() {
    let good = Target::slow(Duration::from_millis(400)).await;
    let silent = Target::silent().await;
    let mut services = http("good", 200, &good.url("/"));
    services.extend(http("hanging", 1, &silent.url("/")));
    let head = "defaults: { interval: 2s, recheck_interval: 1s, timeout: 1500ms, \
                thresholds: { degraded: 600ms, down: 1s } }";
    let exporter = Limited::start("true", head, &services);
    exporter.until_up(200).await;
    let before = exporter.metrics().await;
    let mut is_found = false;
    for _ in 0..3 {
        exporter.server.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(1700)).await;
        exporter.server.signal(Signal::CONT);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            is_found |= is_hanging_down(&exporter.metrics().await, &exporter);
        }
    }
    assert!(is_found, "the target that hangs must be found");
    let after = exporter.metrics().await;
    let grown = |family: &str| after.sum(family) - before.sum(family);
    assert!(
        grown("upkeep_exporter_lost_seconds_total") >= 3.0 * 1.6,
        "{}",
        exporter.server.log()
    );
    let failures: f64 = after
        .all("upkeep_check_failures_total")
        .iter()
        .filter(|(labels, _)| labels.contains("service=\"good"))
        .map(|(_, failures)| failures)
        .sum();
    assert_eq!(failures, 0.0, "{}", exporter.server.log());
}

/// A CPU cgroup that gets a part of a core. Removed when it is dropped; its processes must have ended.
struct CpuGroup(PathBuf);

impl CpuGroup {
    /// Creates a group with this share of a core, in percent.
    fn new(percent: u64) -> Self {
        let name = format!("upkeep-test-{}", std::process::id());
        let (old, new) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let (folder, settings) = if old.join("cgroup.procs").exists() {
            let quota = percent * 1000;
            (
                old,
                vec![
                    ("cpu.cfs_period_us", 100_000.to_string()),
                    ("cpu.cfs_quota_us", quota.to_string()),
                ],
            )
        } else {
            // Changes nothing if the controller is already enabled.
            let _ = fs::write(new.join("cgroup.subtree_control"), "+cpu");
            (new, vec![("cpu.max", format!("{} 100000", percent * 1000))])
        };
        let group = Self(folder.join(name));
        let made = fs::create_dir(&group.0).and_then(|()| {
            settings
                .iter()
                .try_for_each(|(file, value)| fs::write(group.0.join(file), value))
        });
        made.unwrap_or_else(|error| {
            panic!(
                "creating the CPU cgroup {}: {error}: the test needs root and a writable cgroup file system (v1 or v2) with the \
                 controller cpu",
                group.0.display()
            )
        });
        group
    }

    /// Moves a process into the group.
    fn add(&self, process: u32) {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).unwrap();
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starved_exporter_takes_no_service_down_and_reports_it() {
    // Dropped last, when the group is empty.
    let group = CpuGroup::new(5);
    let good = Target::answering(ok("hello")).await;
    let silent = Target::silent().await;
    let mut services = http("good", 100, &good.url("/"));
    services.extend(http("hanging", 1, &silent.url("/")));
    let head = "defaults: { interval: 500ms, recheck_interval: 500ms, timeout: 1500ms, \
                thresholds: { degraded: 600ms, down: 1s } }";
    let exporter = Limited::start("true", head, &services);
    exporter.until_up(100).await;
    // The failures must grow from here; the previous status does not count.
    let before = exporter.metrics().await;
    group.add(exporter.server.pid());
    let begun = Instant::now();
    let mut hangs = false;
    loop {
        let metrics = exporter.metrics().await;
        hangs |= is_hanging_down(&metrics, &exporter);
        let failures = |metrics: &Metrics| {
            let all = metrics.all("upkeep_check_failures_total");
            let hanging = all.iter().find(|(labels, _)| labels.contains("hanging0"));
            hanging.map_or(0.0, |(_, failures)| *failures)
        };
        let is_found = hangs && failures(&metrics) > failures(&before);
        if is_found && begun.elapsed() > Duration::from_secs(20) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(150), "{}", metrics.0);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let metrics = exporter.metrics().await;
    let lost =
        metrics.sum("upkeep_exporter_lost_seconds_total") - before.sum("upkeep_exporter_lost_seconds_total");
    // The expression of UpkeepExporterStarved.
    let share = lost / begun.elapsed().as_secs_f64();
    assert!(share > 0.1, "{share}");
    drop(exporter);
}
