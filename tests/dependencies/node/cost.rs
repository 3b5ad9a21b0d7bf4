//! What a run costs: 500 packages within 50 ms and 20 MB. `make bench` measures the optimized exporter.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::environments::empty;
use super::support::{run, succeed};
use crate::common::node_packages;

const PACKAGES: usize = 500;
/// The longest run of a debug build on a busy machine. An optimized one has 50 ms.
const TIME: Duration = Duration::from_secs(5);
/// The memory of a run in addition to that of a run on one package, in KiB.
const MEMORY: u64 = 40 << 10;

#[test]
fn five_hundred_packages_are_cheap() {
    let (app, one) = (empty(), empty());
    node_packages::write(&app.path, PACKAGES);
    node_packages::write(&one.path, 1);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        let run = run(&app.path, "extra: true, transitive: true");
        best = best.min(started.elapsed());
        assert_eq!(run.result, Ok(()));
        assert_eq!(run.count("satisfied"), Some(PACKAGES as f64));
    }
    assert!(best < TIME, "{best:?}");
    let (with, without) = (peak(&app.path), peak(&one.path));
    assert!(with < without + MEMORY, "{with} KiB with, {without} KiB without");
}

/// The peak memory of one round of a check of this project, in KiB.
fn peak(directory: &Path) -> u64 {
    let config = directory.join("upkeep.yml");
    let check = format!(
        "kind: node, directory: \"{}\", extra: true, transitive: true",
        directory.display()
    );
    fs::write(
        &config,
        format!("services: [{{ key: s, checks: [{{ {check} }}] }}]"),
    )
    .unwrap();
    // ru_maxrss of the only child.
    let script = "import resource, subprocess, sys\n\
                  subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = succeed(
        Command::new("/usr/bin/python3")
            .args([
                "-c",
                script,
                env!("CARGO_BIN_EXE_upkeep_exporter"),
                "check",
                "--config.file",
            ])
            .arg(&config),
    );
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
