//! Readings of made trees of both versions, and of the real one.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::*;

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn path(text: &str) -> GroupPath {
    GroupPath::parse(text).unwrap()
}

/// The files of a unit in cgroup v2, from a machine with Debian 12.
const UNIFIED: [(&str, &str); 10] = [
    ("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n"),
    (
        "a.slice/b.service/cpu.stat",
        "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
    ),
    ("a.slice/b.service/memory.current", "10485760\n"),
    ("a.slice/b.service/memory.peak", "20971520\n"),
    ("a.slice/b.service/memory.max", "104857600\n"),
    (
        "a.slice/b.service/memory.stat",
        "anon 4194304\nfile 6291456\ninactive_file 4194304\nactive_file 2097152\n",
    ),
    (
        "a.slice/b.service/memory.events",
        "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\n",
    ),
    ("a.slice/b.service/pids.current", "7\n"),
    ("a.slice/b.service/pids.max", "4915\n"),
    (
        "a.slice/b.service/io.stat",
        "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n",
    ),
];

fn expected(id: u64) -> Usage {
    Usage {
        id,
        cpu_nanos: Some(1_500_000_000),
        memory: Some(10 << 20),
        memory_peak: Some(20 << 20),
        memory_limit: Some(100 << 20),
        inactive_file: Some(4 << 20),
        tasks: Some(7),
        tasks_limit: Some(4915),
        io: Some((4096, 8192)),
        oom_kills: Some(2),
    }
}

#[test]
fn all_values_of_v2_are_read() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &UNIFIED);
    let groups = Hierarchies::at(root.path().to_owned());
    let usage = groups.usage(&path("/a.slice/b.service")).unwrap();
    assert_ne!(usage.id, 0);
    assert_eq!(usage, expected(usage.id));
    assert_eq!(usage.working_set(), Some(6 << 20));
    // A group without controllers, and one that is gone.
    assert_eq!(groups.usage(&path("/a.slice")).unwrap().memory, None);
    assert_eq!(groups.usage(&path("/a.slice/c.service")), Err(Errno::NOENT));
}

#[test]
fn a_group_created_again_has_another_id() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &UNIFIED);
    let groups = Hierarchies::at(root.path().to_owned());
    let before = groups.usage(&path("/a.slice/b.service")).unwrap().id;
    fs::rename(root.path().join("a.slice/b.service"), root.path().join("old")).unwrap();
    write(root.path(), &UNIFIED);
    assert_ne!(groups.usage(&path("/a.slice/b.service")).unwrap().id, before);
}

#[test]
fn all_values_of_v1_are_read() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            ("memory/a.slice/b.service/memory.usage_in_bytes", "10485760\n"),
            ("memory/a.slice/b.service/memory.max_usage_in_bytes", "20971520\n"),
            ("memory/a.slice/b.service/memory.limit_in_bytes", "104857600\n"),
            (
                "memory/a.slice/b.service/memory.stat",
                "inactive_file 1\ntotal_inactive_file 4194304\n",
            ),
            (
                "memory/a.slice/b.service/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
            ("cpu,cpuacct/a.slice/b.service/cpuacct.usage", "1500000000\n"),
            ("pids/a.slice/b.service/pids.current", "7\n"),
            ("pids/a.slice/b.service/pids.max", "4915\n"),
            (
                "blkio/a.slice/b.service/blkio.throttle.io_service_bytes",
                "8:0 Read 4096\n8:0 Write 8192\nTotal 12288\n",
            ),
            (
                "memory/a.slice/c.service/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("unified/a.slice/c.service/cpu.stat", "usage_usec 5\n"),
        ],
    );
    symlink("cpu,cpuacct", root.path().join("cpuacct")).unwrap();
    let groups = Hierarchies::at(root.path().to_owned());
    let usage = groups.usage(&path("/a.slice/b.service")).unwrap();
    assert_eq!(usage, expected(usage.id));
    // Without accounting of CPU time in v1, systemd's own hierarchy of v2 has it.
    let other = groups.usage(&path("/a.slice/c.service")).unwrap();
    assert_eq!(
        (other.cpu_nanos, other.memory_limit, other.tasks),
        (Some(5000), None, None)
    );
    assert_eq!(groups.usage(&path("/a.slice/d.service")), Err(Errno::NOENT));
}

#[test]
fn links_pipes_and_large_files_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    write(root.path(), &UNIFIED);
    write(elsewhere.path(), &[("memory.current", "1\n")]);
    symlink(elsewhere.path(), root.path().join("link")).unwrap();
    let inside = root.path().join("odd");
    fs::create_dir(&inside).unwrap();
    symlink(
        elsewhere.path().join("memory.current"),
        inside.join("memory.current"),
    )
    .unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pids.current"), Mode::from(0o600)).unwrap();
    fs::write(inside.join("io.stat"), "8:0 rbytes=1 wbytes=1\n".repeat(4000)).unwrap();
    fs::write(inside.join("cpu.stat"), [0xff, 0xfe]).unwrap();
    let groups = Hierarchies::at(root.path().to_owned());
    assert!(groups.usage(&path("/link")).is_err());
    let started = Instant::now();
    let usage = groups.usage(&path("/odd")).unwrap();
    assert_eq!(
        usage,
        Usage {
            id: usage.id,
            ..Usage::default()
        }
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_machine_without_control_groups_has_no_usage() {
    let root = tempfile::tempdir().unwrap();
    let groups = Hierarchies::at(root.path().join("absent"));
    assert_eq!(groups.usage(&path("/a")), Err(Errno::NOENT));
    let groups = Hierarchies::at(root.path().to_owned());
    assert_eq!(groups.usage(&path("/a")), Err(Errno::NOENT));
    // They may be mounted later.
    write(root.path(), &UNIFIED);
    assert!(groups.usage(&path("/a.slice/b.service")).is_ok());
}
