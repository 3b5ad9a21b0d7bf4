//! `--output tail`.

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{LONG, Stage, accepting, beats, said};
use crate::{ends_with, errors, out};

const TAIL: &[&str] = &["--output=tail"];

#[tokio::test(flavor = "multi_thread")]
async fn output_is_passed_through_and_its_end_is_sent() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    // Standard error first: it is read in parallel, so a line of it may come later than in this script.
    let job = "echo problem >&2; echo first; seq 1 5000; exit 3";
    let plain = stage.shell(&exporter.url(""), &[], job).output().unwrap();
    let kept = stage.shell(&exporter.url(""), TAIL, job).output().unwrap();
    for output in [&plain, &kept] {
        ends_with(3, output);
        assert!(out(output).starts_with("first\n1\n2\n") && out(output).ends_with("\n5000\n"));
        assert_eq!(errors(output), "problem\n");
    }
    assert_eq!(out(&plain), out(&kept));
    let only_errors = "echo problem >&2; exit 4";
    ends_with(
        4,
        &stage
            .shell(&exporter.url(""), TAIL, only_errors)
            .output()
            .unwrap(),
    );
    let beats = beats(&exporter);
    assert_eq!(said(&beats), ["start", "3", "start", "3", "start", "4"]);
    assert_eq!(beats[1].message, "", "without --output tail");
    let message = &beats[3].message;
    assert_eq!(message.len(), 10_000);
    assert!(
        message.contains("\n4500\n4501\n") && !message.contains("first"),
        "{message}"
    );
    assert_eq!(beats[5].message, "problem\n");
}

/// Its end arrives, and the memory does not grow with it.
#[tokio::test(flavor = "multi_thread")]
async fn ten_gigabytes_of_output_need_little_memory() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let run = |bytes: &str| {
        let job = format!(
            "head -c {bytes} /dev/zero; sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\) kB$/\\1/p' /proc/$PPID/status >\"$1/peak\"; echo end"
        );
        let output = stage
            .shell(&exporter.url(""), TAIL, &job)
            .stdout(Stdio::null())
            .output()
            .unwrap();
        ends_with(0, &output);
        let peak = fs::read_to_string(stage.path("peak")).unwrap();
        peak.trim().parse::<u64>().unwrap()
    };
    let (little, much) = (run("10K"), run("10G"));
    println!("peak memory: {little} kB with 10 kB of output, {much} kB with 10 GB");
    assert!(much < little + 10_000, "{little} kB, then {much} kB");
    let last = beats(&exporter).pop().unwrap();
    assert!(last.message.ends_with("\0end\n") && last.message.len() == 10_000);
}

/// A job that prints to a closed pipe ends as without the command.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_ends_the_job_with_sigpipe() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let mut child = stage
        .run(&exporter.url(""), TAIL, &["yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 100]).unwrap();
    drop(output);
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert_eq!(said(&beats(&exporter)).last(), Some(&"141"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_below_the_output_does_not_fail_the_job() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = stage
        .shell(&exporter.url(""), TAIL, "seq 1 100000; exit 0")
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let last = beats(&exporter).pop().unwrap();
    assert!(last.message.ends_with("100000\n"), "{}", last.message);
}

/// A reader that is slower than the job gets everything, and does not delay the heartbeat for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_the_whole_output() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    // More than one pipe holds, and less than two.
    let mut child = stage
        .run(&exporter.url(""), TAIL, &["head", "-c", "100000", "/dev/zero"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while said(&beats(&exporter)).last() != Some(&"0") {
        assert!(begun.elapsed() < LONG, "no heartbeat before the output is read");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert_eq!(output.len(), 100_000);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A job may leave a process behind that has its output open.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_left_behind_does_not_delay_the_end() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    let begun = Instant::now();
    let mut child = stage
        .shell(
            &exporter.url(""),
            TAIL,
            "sleep 100 & echo $! >\"$1/left\"; echo done",
        )
        .stdout(File::create(stage.path("out")).unwrap())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < LONG, "it waited for the process");
    assert_eq!(fs::read_to_string(stage.path("out")).unwrap(), "done\n");
    assert_eq!(beats(&exporter)[1].message, "done\n");
    let left = super::wait_for_file(&stage.path("left")).trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(left).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

/// It may also write all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_left_behind_that_writes_does_not_delay_the_end() {
    let (stage, exporter) = (Stage::new(), accepting().await);
    // It ends at SIGPIPE, or when the directory of the test is removed.
    let left = "while [ -e \"$1/token\" ]; do echo noise; sleep 0.05; done & echo done";
    let begun = Instant::now();
    let mut child = stage
        .shell(&exporter.url(""), TAIL, left)
        .stdout(File::create(stage.path("out")).unwrap())
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LONG {
            child.kill().unwrap();
            panic!("it waited for the process");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
    assert!(fs::read_to_string(stage.path("out")).unwrap().contains("done\n"));
    assert_eq!(said(&beats(&exporter)), ["start", "0"]);
}
