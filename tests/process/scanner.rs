//! One scan serves many checks. A stuck scan affects only process checks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use serde_json::json;
use upkeep_exporter::check::process::ProcessCheck;
use upkeep_exporter::model::{Problem, Report};

use crate::support::{FakeProc, check, real, run_once, run_until};

#[tokio::test]
async fn checks_of_one_tick_share_a_scan() {
    let fake = FakeProc::new();
    for id in 10..60 {
        fake.process(id, format!("app{id}"), "");
    }
    let context = fake.context();
    let mut checks: Vec<_> = (10..60)
        .map(|id| check(json!({"match": format!("APP{id}"), "max": 1}), &context))
        .collect();
    for _ in 0..3 {
        let runs = checks.iter_mut().map(crate::support::run);
        for ran in futures_util::future::join_all(runs).await {
            assert_eq!((ran.count(), ran.result.is_ok()), (Some(1.0), true));
        }
    }
    // Three, unless this thread did not run for longer than requests are gathered.
    let scans = context.processes.scans();
    assert!((3..15).contains(&scans), "{scans} scans for 150 runs");
}

#[tokio::test]
async fn a_check_that_is_alone_hardly_waits_for_others() {
    let fake = FakeProc::new();
    fake.process(10, "app", "");
    let context = fake.context();
    let mut check = check(json!({"match": "app"}), &context);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let begun = Instant::now();
        assert_eq!(crate::support::run(&mut check).await.count(), Some(1.0));
        // A busy machine delays most runs, but not all.
        if begun.elapsed() < Duration::from_millis(2) {
            break;
        }
        assert!(Instant::now() < deadline, "every run takes 2 ms or longer");
    }
}

#[tokio::test]
async fn a_scan_begins_after_the_request_for_it() {
    let fake = FakeProc::new();
    let context = fake.context();
    for id in 10..60 {
        fake.process(id, "app", "");
        let ran = run_once(json!({"match": "app", "min": id - 9, "max": id - 9}), &context).await;
        assert_eq!(ran.result, Ok(()));
    }
}

/// A process whose command line blocks its reader, as if the kernel had locked the process's memory. It blocks until the
/// file is opened for writing.
fn blocking_process(fake: &FakeProc, id: u32) -> PathBuf {
    let fifo = fake.process(id, "stuck", "").join("cmdline");
    std::fs::remove_file(&fifo).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    fifo
}

async fn run_for(check: &mut ProcessCheck, milliseconds: u64) -> (Option<Result<(), Problem>>, Report) {
    let mut report = Report::default();
    let run = tokio::time::timeout(Duration::from_millis(milliseconds), check.run(&mut report)).await;
    (run.ok(), report)
}

#[tokio::test]
async fn a_stuck_scan_times_out_and_recovers() {
    let fake = FakeProc::new();
    let fifo = blocking_process(&fake, 77);
    let context = fake.context();
    let mut stuck = check(json!({"match": "stuck"}), &context);
    for _ in 0..3 {
        let (run, report) = run_for(&mut stuck, 100).await;
        assert_eq!(run, None);
        let expected = format!("scanning {}, now at process 77", fake.root().display());
        assert_eq!(report.step, expected);
    }
    // Checks of another /proc are not affected.
    assert_eq!(run_once(json!({"regex": "."}), &real()).await.result, Ok(()));

    let is_served = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&is_served);
    let writer = std::thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            // Releases the reader; fails if there is none.
            let _ = open(&fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let (run, _) = run_for(&mut stuck, 20_000).await;
    is_served.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(run, Some(Ok(())));
}

#[tokio::test]
async fn a_process_that_blocks_does_not_affect_other_checks_for_long() {
    let fake = FakeProc::new();
    let fifo = blocking_process(&fake, 77);
    fake.process(78, "other", "other --serve");
    let context = fake.context();
    let mut other = check(json!({"match": "--serve"}), &context);
    assert_eq!(run_for(&mut other, 1_500).await.0, None);
    // Another thread serves later runs. It does not read the command line of the process that blocks.
    assert_eq!(run_for(&mut other, 20_000).await.0, Some(Ok(())));
    assert_eq!(run_once(json!({"match": "stuck"}), &context).await.result, Ok(()));
    let ran = run_once(json!({"match": "absent"}), &context).await;
    assert_eq!(ran.failure().0, "permission");
    assert!(ran.failure().1.contains("1 more may match"), "{ran:?}");

    // Once the reader is released, the command line is read again.
    std::fs::write(&fifo, "now --absent").unwrap();
    std::fs::remove_file(&fifo).unwrap();
    std::fs::write(&fifo, "now --absent").unwrap();
    run_until(json!({"match": "absent"}), &context, |ran| ran.result.is_ok()).await;
}
