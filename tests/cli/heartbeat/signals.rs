//! Signals to the command reach the job.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Stage, accepting, beats, said, wait_for_file};
use crate::common::servers::tool;
use crate::{ends_with, errors};

fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signal_reaches_the_job_once() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let job = "for name in HUP INT QUIT TERM USR1 USR2; do trap \"echo $name >>'$1/seen'\" $name; done
        echo >\"$1/ready\"
        # wait ends at each signal.
        until [ -e \"$1/enough\" ]; do sleep 0.05 & wait; done; exit 7";
    let child = stage
        .shell(&exporter.url(""), &[], job)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_file(&stage.path("ready"));
    let mut expected = String::new();
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        kill(&child, signal);
        expected += name;
        expected += "\n";
        let begun = std::time::Instant::now();
        while fs::read_to_string(stage.path("seen")).unwrap_or_default() != expected {
            assert!(begun.elapsed() < super::LONG, "SIG{name} did not arrive");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    fs::write(stage.path("enough"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    ends_with(7, &output);
    assert_eq!(errors(&output), "");
    assert_eq!(fs::read_to_string(stage.path("seen")).unwrap(), expected);
    assert_eq!(said(&beats(&exporter)), ["start", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_ends_the_job_is_its_exit_status() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let mut child = stage
        .shell(&exporter.url(""), &[], "echo $$ >\"$1/pid\"; exec sleep 1000")
        .spawn()
        .unwrap();
    wait_for_file(&stage.path("pid"));
    kill(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(said(&beats(&exporter)).last(), Some(&"143"));
}

/// As systemd does without KillMode=mixed, and shells with `kill -- -GROUP`: the job may end before the command sees the signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_both_does_not_suppress_the_report() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let mut child = stage
        .shell(&exporter.url(""), &[], "echo $$ >\"$1/pid\"; exec sleep 1000")
        .spawn()
        .unwrap();
    let job = wait_for_file(&stage.path("pid")).trim().parse().unwrap();
    kill(&child, Signal::STOP);
    kill(&child, Signal::TERM);
    kill_process(Pid::from_raw(job).unwrap(), Signal::TERM).unwrap();
    let begun = std::time::Instant::now();
    // A zombie, until the command continues.
    while !fs::read_to_string(format!("/proc/{job}/stat"))
        .unwrap()
        .contains(") Z ")
    {
        assert!(begun.elapsed() < super::LONG, "the job does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill(&child, Signal::CONT);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(said(&beats(&exporter)).last(), Some(&"143"));
}

/// The job has ended, but nobody reads its output.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_wait_for_a_reader_of_the_output() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    // More than one pipe holds, and less than two.
    let job = ["head", "-c", "100000", "/dev/zero"];
    let mut child = stage
        .run(&exporter.url(""), &["--output=tail"], &job)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while said(&beats(&exporter)).last() != Some(&"0") {
        assert!(begun.elapsed() < super::LONG, "no heartbeat");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < super::LONG, "the command ignores signals");
        kill(&child, Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(0));
}

/// As below `nohup`, and for jobs that sh starts in the background.
#[tokio::test(flavor = "multi_thread")]
async fn ignored_signals_stay_ignored() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let job = stage.run(
        &exporter.url(""),
        &[],
        &["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"],
    );
    let ignoring = |names: &str| {
        let output = Command::new("sh")
            .args(["-c", &format!("trap '' {names}; exec \"$@\""), "sh"])
            .arg(job.get_program())
            .args(job.get_args())
            .output()
            .unwrap();
        ends_with(0, &output);
        let masks = String::from_utf8(output.stdout).unwrap();
        let mask = |name: &str| {
            let line = masks.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        assert_eq!(mask("SigBlk:"), 0);
        // Without those of the C library and the real-time signals.
        mask("SigIgn:") & 0x7fff_ffff
    };
    assert_eq!(ignoring("HUP INT"), 0b11);
    assert_eq!(ignoring("CHLD"), 0, "the exit status would be lost");
}

/// The terminal signals the job and the command.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_reaches_the_job_once() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let job = "trap \"echo INT >>'$1/seen'\" INT; echo >\"$1/ready\"; until [ -e \"$1/enough\" ]; do sleep 0.05 & wait; done";
    let run = stage.shell(&exporter.url(""), &[], job);
    let quoted = |text: &std::ffi::OsStr| format!("'{}' ", text.to_str().unwrap().replace('\'', r"'\''"));
    let line: String = std::iter::once(run.get_program())
        .chain(run.get_args())
        .map(quoted)
        .collect();
    let mut terminal = Command::new(tool("script", "bsdutils"))
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("exec {line}"),
            "/dev/null",
        ])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_file(&stage.path("ready"));
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    wait_for_file(&stage.path("seen"));
    fs::write(stage.path("enough"), "").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(stage.path("seen")).unwrap(), "INT\n");
    assert_eq!(said(&beats(&exporter)), ["start", "0"]);
}
