//! The test machine leaves nothing behind.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::systemd::Machine;

/// Dropping the machine closes the standard input of its supervisor, as the end of the test process does.
#[test]
fn a_dropped_machine_leaves_nothing_behind() {
    let machine = Machine::boot();
    let directory = machine
        .shared_directory()
        .parent()
        .expect("a directory")
        .to_owned();
    let pid: u32 = fs::read_to_string(directory.join("pid"))
        .expect("the PID")
        .trim()
        .parse()
        .expect("a number");
    let process = format!("/proc/{pid}/stat");
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the cgroup");
    let ours = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .and_then(|path| path.split('/').find(|part| part.starts_with("upkeep-test-")))
        .expect("a cgroup of its own")
        .to_owned();
    let began = Instant::now();
    drop(machine);
    while fs::exists(&process).expect("/proc") {
        assert!(began.elapsed() < Duration::from_secs(30), "systemd still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!directory.exists(), "{} is left", directory.display());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    assert!(!mounts.contains("upkeep-machine-"), "{mounts}");
    let hierarchies = mounts
        .lines()
        .filter(|line| line.split(' ').nth(2) == Some("cgroup2"));
    for hierarchy in hierarchies {
        let root = std::path::Path::new(hierarchy.split(' ').nth(1).expect("a mount point"));
        assert!(
            !holds(root, &ours),
            "the cgroup {ours} is left below {}",
            root.display()
        );
    }
}

/// Whether `folder` contains a folder of this name at any depth.
fn holds(folder: &std::path::Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .any(|entry| entry.file_name().to_str() == Some(name) || holds(&entry.path(), name))
}
