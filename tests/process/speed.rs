//! The cost of a scan. Measure it on an idle machine in release mode:
//! `cargo test --release --test process speed -- --nocapture`.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use upkeep_exporter::check::proc_scan::{Criteria, scan_blocking};
use upkeep_exporter::config::pattern::Pattern;

use crate::support::{Running, unique};

/// How much CPU time a scan of 1,000 processes may take here, in milliseconds. This is several times the cost on an idle
/// machine, because other programs share the caches.
const BOUND: f64 = if cfg!(debug_assertions) { 150.0 } else { 60.0 };

fn milliseconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// The medians of 21 scans: wall-clock time, and CPU time, which depends less on other tests.
fn median_scan(wanted: &[&Criteria]) -> (f64, f64) {
    let clocks = [ClockId::Monotonic, ClockId::ThreadCPUTime];
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..21 {
        let start = clocks.map(milliseconds);
        scan_blocking(Path::new("/proc"), wanted).unwrap();
        let end = clocks.map(milliseconds);
        for index in 0..2 {
            times[index].push(end[index] - start[index]);
        }
    }
    let [wall, cpu] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[10]
    });
    (wall, cpu)
}

#[test]
fn a_thousand_processes_are_scanned_in_milliseconds() {
    let word = unique();
    let _running: Vec<Running> = (0..1000).map(|_| Running::sleeping(&word)).collect();
    let criteria = |pattern: &str| Criteria {
        patterns: vec![Pattern::new(pattern).unwrap()],
        ..Criteria::default()
    };
    let (none, all) = (criteria(&format!("{word}-not")), criteria(&word));
    let (found, _) = scan_blocking(Path::new("/proc"), &[&all]).unwrap();
    assert!(found[0].processes.len() >= 999, "{}", found[0].processes.len());

    let cases = [
        ("none matches", vec![&none]),
        ("all match", vec![&all]),
        ("for 100 checks", vec![&none; 100]),
    ];
    for (case, wanted) in cases {
        let (wall, cpu) = median_scan(&wanted);
        println!("1,000 processes, {case}: {wall:.1} ms, CPU {cpu:.1} ms");
        assert!(
            cpu < BOUND * if wanted.len() > 1 { 4.0 } else { 1.0 },
            "{case}: {cpu} ms of CPU"
        );
    }
}
