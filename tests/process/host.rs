//! Host checks: their figures beside those of `free`, `df` and /proc, made directories of /proc, and mount points that do not work.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::host::HostCheck;
use upkeep_exporter::config::host::HostOptions;
use upkeep_exporter::config::place::Place;
use upkeep_exporter::model::{Problem, Report};

use crate::support::real;

fn check(options: Value, context: &CheckContext) -> HostCheck {
    let findings = RefCell::new(Vec::new());
    let options: HostOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    HostCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), context)
}

async fn run(check: &mut HostCheck) -> (Result<(), Problem>, Report) {
    let mut report = Report::default();
    let result = check.run(&mut report).await;
    (result, report)
}

/// The value of the family `upkeep_host_{name}` with this label, or without labels.
fn value(report: &Report, name: &str, label: &str) -> Option<f64> {
    let mut found = report.samples.iter().filter(|sample| {
        sample.family.name.strip_prefix("upkeep_host_") == Some(name)
            && sample.labels.first().map_or("", |value| &**value) == label
    });
    let value = found.next().map(|sample| sample.value);
    assert!(found.next().is_none(), "{name} {label} twice");
    value
}

/// The output of a program.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; install procps and coreutils"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers in one line of an output.
fn numbers(output: &str, line: usize) -> Vec<f64> {
    let words = output.lines().nth(line).unwrap().split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Checks that a value lies between two measurements around it, with some slack for other processes.
fn assert_between(what: &str, found: Option<f64>, before: f64, after: f64, slack: f64) {
    let found = found.unwrap_or_else(|| panic!("{what} is missing"));
    let (low, high) = (before.min(after) - slack, before.max(after) + slack);
    assert!(
        (low..=high).contains(&found),
        "{what}: {found} is not in {low}..={high}"
    );
}

#[tokio::test]
async fn the_figures_are_those_of_free_and_df() {
    const SLACK: f64 = 300e6;
    let mut check = check(json!({ "disks": [{ "mount": "/" }] }), &real());
    let measure = || {
        let free = output("free", &["--bytes"]);
        let df = output(
            "df",
            &["--block-size=1", "--output=size,avail,itotal,iavail", "/"],
        );
        let load = fs::read_to_string("/proc/loadavg").unwrap();
        let files = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
        [
            numbers(&free, 1),
            numbers(&free, 2),
            numbers(&df, 1),
            numbers(&load, 0),
            numbers(&files, 0),
        ]
    };
    let before = measure();
    let (result, report) = run(&mut check).await;
    let after = measure();
    assert_eq!(result, Ok(()));
    let [memory, swap, disk, load, files] = before;
    let [memory_after, swap_after, disk_after, load_after, files_after] = after;
    let value = |name: &str, label: &str| value(&report, name, label);

    assert_eq!(value("memory_size_bytes", ""), Some(memory[0]));
    assert_between(
        "available",
        value("memory_available_bytes", ""),
        memory[5],
        memory_after[5],
        SLACK,
    );
    assert_eq!(value("swap_size_bytes", ""), Some(swap[0]));
    assert_between(
        "swap",
        value("swap_used_bytes", ""),
        swap[1],
        swap_after[1],
        SLACK,
    );

    assert_eq!(value("disk_size_bytes", "/"), Some(disk[0]));
    assert_between(
        "free space",
        value("disk_available_bytes", "/"),
        disk[1],
        disk_after[1],
        SLACK,
    );
    assert_between(
        "inodes",
        value("disk_inodes", "/"),
        disk[2],
        disk_after[2],
        1000.0,
    );
    assert_between(
        "free inodes",
        value("disk_inodes_free", "/"),
        disk[3],
        disk_after[3],
        1000.0,
    );

    for (position, window) in ["1m", "5m", "15m"].into_iter().enumerate() {
        let (before, after) = (load[position], load_after[position]);
        assert_between(window, value("load_average", window), before, after, 0.5);
    }
    assert_between(
        "descriptors",
        value("open_fds", ""),
        files[0],
        files_after[0],
        1000.0,
    );
    assert_eq!(value("max_fds", ""), Some(files[2]));
    let cores: f64 = output("getconf", &["_NPROCESSORS_ONLN"]).trim().parse().unwrap();
    assert_eq!(value("cpus", ""), Some(cores));
}

#[tokio::test]
async fn limits_of_the_real_machine_are_judged() {
    let mut check = check(
        json!({ "memory_available_above": "100%", "disks": [{ "mount": "/", "free_above": "100%" }] }),
        &real(),
    );
    let (result, report) = run(&mut check).await;
    assert_eq!(result, Ok(()));
    let warning = report.warning.as_ref().unwrap();
    let (memory, disk) = warning.message().split_once("; ").unwrap();
    assert!(
        memory.starts_with("memory: ") && memory.ends_with("available (memory_available_above: 100%)"),
        "{warning}"
    );
    assert!(
        disk.starts_with("/: ") && disk.ends_with("free (free_above: 100%)"),
        "{warning}"
    );
    assert_eq!(warning.reason.as_str(), "limit");
    let subjects: Vec<&str> = report
        .findings
        .list()
        .iter()
        .map(|found| found.subject.as_str())
        .collect();
    assert_eq!(subjects, ["memory", "/"]);
}

#[tokio::test]
async fn the_cpu_share_is_known_from_the_second_run_on() {
    let mut check = check(json!({}), &real());
    let busy = || {
        let text = fs::read_to_string("/proc/stat").unwrap();
        let ticks = numbers(&text, 0);
        // user, nice, system, idle, iowait, irq, softirq, steal
        let idle = ticks[3] + ticks[4];
        [ticks[..8].iter().sum::<f64>() - idle, idle]
    };
    let start = busy();
    let (_, first) = run(&mut check).await;
    assert_eq!(value(&first, "cpu_usage_ratio", ""), None);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let share = loop {
        let (_, report) = run(&mut check).await;
        if let Some(share) = value(&report, "cpu_usage_ratio", "") {
            break share;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the share never becomes known"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let end = busy();
    let [busy, idle] = [end[0] - start[0], end[1] - start[1]];
    let expected = busy / (busy + idle);
    // The test's own interval is a few milliseconds longer.
    assert!((share - expected).abs() < 0.15, "{share}, expected {expected}");
}

/// A directory with copies of the files of /proc that the check reads.
struct Made(TempDir);

impl Made {
    fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        for file in ["stat", "loadavg", "meminfo", "sys/fs/file-nr"] {
            made.write(file, &fs::read_to_string(Path::new("/proc").join(file)).unwrap());
        }
        for resource in ["cpu", "memory", "io"] {
            let line = "some avg10=1.00 avg60=12.50 avg300=3.00 total=2500000\n";
            made.write(&format!("pressure/{resource}"), line);
        }
        made
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    /// Writes the CPU time of two cores, in ticks.
    fn write_cpu(&self, user: u64, idle: u64) {
        let text = format!(
            "cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n\
             ctxt 1\nbtime 1\nprocesses 1\n"
        );
        self.write("stat", &text);
    }

    fn context(&self) -> CheckContext {
        CheckContext::new(self.0.path().to_owned())
    }
}

#[tokio::test]
async fn the_cpu_share_is_that_between_two_runs() {
    let made = Made::new();
    let mut check = check(json!({ "cpu_below": "75%" }), &made.context());
    made.write_cpu(100_000, 100_000);
    let (_, first) = run(&mut check).await;
    assert!(first.warning.is_none());
    made.write_cpu(100_300, 100_100);
    let (_, second) = run(&mut check).await;
    assert_eq!(value(&second, "cpu_usage_ratio", ""), Some(0.75));
    assert_eq!(value(&second, "cpus", ""), Some(2.0));
    assert_eq!(
        second.warning.unwrap().to_string(),
        "limit: CPU: 75.0% in use (cpu_below: 75%)"
    );
    made.write_cpu(100_300, 100_500);
    let (_, third) = run(&mut check).await;
    assert!(third.warning.is_none());
}

#[tokio::test]
async fn pressure_is_optional_unless_it_has_a_limit() {
    let made = Made::new();
    let limits = json!({ "pressure": { "memory": "12.5%", "io": "13%" } });
    let mut limited = check(limits, &made.context());
    let (_, report) = run(&mut limited).await;
    assert_eq!(
        value(&report, "pressure_waiting_seconds_total", "memory"),
        Some(2.5)
    );
    assert_eq!(
        report.warning.unwrap().message(),
        "pressure on memory: tasks waited for 12.5% of the last minute (pressure.memory: 12.5%)"
    );
    fs::remove_dir_all(made.path("pressure")).unwrap();
    let (result, report) = run(&mut limited).await;
    assert_eq!(result, Ok(()));
    assert_eq!(value(&report, "pressure_waiting_seconds_total", "memory"), None);
    let warning = report.warning.unwrap();
    assert_eq!(warning.reason.as_str(), "missing");
    assert!(warning.message().contains("psi=1"), "{warning}");
    let (result, report) = run(&mut check(json!({}), &made.context())).await;
    assert_eq!((result, report.warning), (Ok(()), None));
}

#[tokio::test]
async fn files_that_cannot_be_read_fail_the_run() {
    for (file, text, reason) in [
        ("stat", "cpu  1 2 x\n", "protocol"),
        ("loadavg", "", "protocol"),
        ("meminfo", "MemTotal: many kB\n", "protocol"),
        ("meminfo", "\u{e9}\n", "protocol"),
        ("pressure/io", "none\n", "protocol"),
        ("pressure/io", "some\n", "protocol"),
        ("sys/fs/file-nr", "1 0\n", "protocol"),
    ] {
        let made = Made::new();
        made.write(file, text);
        let (result, report) = run(&mut check(
            json!({ "disks": [{ "mount": "/" }] }),
            &made.context(),
        ))
        .await;
        let problem = result.unwrap_err();
        assert_eq!(problem.reason.as_str(), reason, "{file}: {problem}");
        assert!(problem.message().contains(file), "{problem}");
        assert!(
            value(&report, "disk_size_bytes", "/").is_some(),
            "other values are measured"
        );
    }
    let empty = CheckContext::new("/nowhere".into());
    let problem = run(&mut check(json!({}), &empty)).await.0.unwrap_err();
    assert_eq!(problem.reason.as_str(), "unreachable");
}

#[tokio::test]
async fn a_directory_where_nothing_is_mounted_fails_the_run() {
    let made = Made::new();
    let directory = made.path("not-mounted");
    fs::create_dir(&directory).unwrap();
    let missing = made.path("missing");
    for (mount, reason, part) in [
        (
            &directory,
            "state",
            "nothing is mounted here: the directory belongs to another file system",
        ),
        (&missing, "missing", "No such file or directory"),
        (&made.path("stat"), "state", "nothing is mounted here"),
    ] {
        let options = json!({ "disks": [{ "mount": mount, "free_above": "1%" }, { "mount": "/proc" }] });
        let (result, report) = run(&mut check(options, &real())).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.reason.as_str(), reason, "{problem}");
        assert!(problem.message().contains(part), "{problem}");
        assert!(problem.message().contains(mount.to_str().unwrap()), "{problem}");
        assert!(value(&report, "disk_size_bytes", "/proc").is_some());
        assert!(value(&report, "cpus", "").is_some());
    }
}
