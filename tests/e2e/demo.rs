//! `deploy/demo/demo.py`: its messages arrive, and nothing is left of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The longest time to the end after a signal: that of Prometheus to write its data, on a busy machine.
const END: Duration = Duration::from_secs(60);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/demo/demo.py");

/// The demo with its temporary directory in `folder`.
fn demo(folder: &TempDir) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-B", SCRIPT, env!("CARGO_BIN_EXE_upkeep_exporter")])
        .env("TMPDIR", folder.path())
        // Checks of what other tests run would disturb them.
        .env("DEMO_DISCOVER", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Panics if the demo left files or processes.
fn assert_nothing_left(folder: &Path) {
    let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(files.is_empty(), "{files:?}");
    let path = folder.to_str().unwrap();
    let left: Vec<_> = procfs::process::all_processes()
        .unwrap()
        .flatten()
        .filter_map(|process| process.cmdline().ok())
        .filter(|line| line.iter().any(|argument| argument.contains(path)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_sends_a_message_about_the_fault_and_one_about_the_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&folder).env("DEMO_ONCE", "1").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    let mut rest = printed.as_str();
    for text in [
        "Status page    http://127.0.0.1:",
        "The demo kills the web server",
        "down      Web shop",
        "The alert UpkeepServiceDown fires",
        "[CRITICAL] Web shop is down",
        "UpkeepServiceDown: Web shop is down",
        "(refused)",
        "Runbook: https://",
        "The demo starts the web server again",
        "[RESOLVED] Web shop",
        "From the fault to the status page",
        "From the repair to the status page",
    ] {
        let (_, after) = rest
            .split_once(text)
            .unwrap_or_else(|| panic!("no {text:?} here:\n{printed}"));
        rest = after;
    }
    // The checkout depends on the shop, so it sends no message.
    assert!(!printed.contains("Checkout is down"), "{printed}");
    assert_nothing_left(folder.path());
}

#[test]
fn the_demo_ends_everything_on_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(&folder).spawn().unwrap();
    let begun = Instant::now();
    // Prometheus is the third of four programs.
    let has_started = || {
        let mut folders = fs::read_dir(folder.path()).unwrap().flatten();
        folders.any(|entry| entry.path().join("data").exists())
    };
    while !has_started() {
        assert!(begun.elapsed() < END, "Prometheus does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let signalled = Instant::now();
    let output = loop {
        if child.try_wait().unwrap().is_some() {
            break child.wait_with_output().unwrap();
        }
        if signalled.elapsed() > END {
            child.kill().unwrap();
            panic!("the demo does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.is_empty(), "{errors}");
    assert_nothing_left(folder.path());
}

#[test]
fn the_demo_names_the_packages_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&folder).env("PATH", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    for expected in ["prometheus prometheus-alertmanager", "make setup"] {
        assert!(errors.contains(expected), "{errors}");
    }
    assert_nothing_left(folder.path());
}
