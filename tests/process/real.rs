//! Against real processes: what is counted, and what is measured.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::{Running, check, real, run, run_once, run_until, unique};

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test]
async fn counts_the_processes_within_its_limits() {
    let word = unique();
    let _running: Vec<Running> = (0..3).map(|_| Running::sleeping(&word)).collect();
    let context = real();
    let ran = run_until(json!({"match": word}), &context, |ran| ran.count() == Some(3.0)).await;
    assert_eq!(ran.result, Ok(()));

    for (options, reason, message) in [
        (
            json!({"match": word, "min": 4}),
            "missing",
            format!("3 processes match {word}; at least 4 expected"),
        ),
        (
            json!({"match": word, "max": 2}),
            "limit",
            format!("3 processes match {word}; at most 2 expected"),
        ),
        (
            json!({"match": format!("{word}-not")}),
            "missing",
            format!("no process matches {word}-not; at least 1 expected"),
        ),
    ] {
        let ran = run_once(options, &context).await;
        assert_eq!(ran.failure(), (reason, message.as_str()));
    }
    for options in [
        json!({"match": word, "min": 3, "max": 3}),
        json!({"match": [format!("{word}-not"), word.to_uppercase()]}),
        json!({"match": format!("{word} 1000")}),
        json!({"match": format!("{word}-not"), "min": 0, "max": 0}),
    ] {
        let ran = run_once(options.clone(), &context).await;
        assert_eq!(ran.result, Ok(()), "{options}");
    }
}

#[tokio::test]
async fn without_a_process_there_is_only_the_count_and_the_counter() {
    let ran = run_once(json!({"match": unique()}), &real()).await;
    assert_eq!(ran.count(), Some(0.0));
    assert_eq!(ran.value("process_cpu_seconds_total"), Some(0.0));
    assert_eq!(ran.report.samples.len(), 2);
}

#[tokio::test]
async fn measures_what_the_processes_use() {
    let word = unique();
    let before = now();
    let program = "import resource, sys, threading, time\n\
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1][-3:]), 400))\n\
        files = [open('/dev/null') for _ in range(50)]\n\
        for _ in range(4): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n\
        time.sleep(1000)";
    let one = Running::python(&format!("{word}123"), program);
    let two = Running::python(&format!("{word}200"), program);
    let ran = run_until(json!({"match": word}), &real(), |ran| {
        ran.value("process_threads") == Some(10.0)
    })
    .await;

    let descriptors: usize = [&one, &two]
        .iter()
        .map(|running| {
            std::fs::read_dir(format!("/proc/{}/fd", running.id()))
                .unwrap()
                .count()
        })
        .sum();
    assert!(descriptors > 100);
    assert_eq!(ran.value("process_open_fds"), Some(descriptors as f64));
    assert_eq!(ran.value("process_max_fds"), Some(123.0));
    let memory = ran.value("process_resident_memory_bytes").unwrap();
    assert!((4e6..4e8).contains(&memory), "{memory} bytes");
    assert_eq!(memory % 4096.0, 0.0);
    let start = ran.value("process_start_time_seconds").unwrap();
    // The kernel's boot time is in whole seconds.
    assert!(
        (before - 2.0..now() + 2.0).contains(&start),
        "{start}, begun at {before}"
    );
    assert!(ran.value("process_cpu_seconds_total").unwrap() > 0.0);
}

#[tokio::test]
async fn the_cpu_counter_rises_and_does_not_fall_when_a_process_ends() {
    let word = unique();
    let busy = || Running::start(Command::new("bash").args(["-c", "while :; do :; done", &word]));
    let (one, two) = (busy(), busy());
    let context = real();
    let mut check = check(json!({"match": word, "min": 0}), &context);
    let cpu = |ran: crate::support::Ran| ran.value("process_cpu_seconds_total").unwrap();

    let mut last = 0.0;
    while last < 0.3 {
        let value = cpu(run(&mut check).await);
        assert!(value >= last);
        last = value;
    }
    drop(one);
    let value = cpu(run(&mut check).await);
    assert!(value >= last, "{value} after {last}");
    drop(two);
    let ran = run(&mut check).await;
    assert_eq!(ran.count(), Some(0.0));
    assert!(cpu(ran) >= value);
}

#[tokio::test]
async fn never_counts_the_exporter_itself() {
    let own = std::fs::read("/proc/self/comm").unwrap();
    let own = String::from_utf8(own).unwrap();
    let ran = run_once(json!({"regex": format!("^{}$", own.trim()), "min": 0}), &real()).await;
    assert_eq!(ran.count(), Some(0.0));
    let exe = std::env::current_exe().unwrap();
    let ran = run_once(json!({"exe": exe, "min": 0}), &real()).await;
    assert_eq!(ran.count(), Some(0.0));
}

#[tokio::test]
async fn all_criteria_must_hold() {
    let word = unique();
    let _running = Running::sleeping(&word);
    let context = real();
    run_until(json!({"match": word}), &context, |ran| ran.result.is_ok()).await;
    for (options, count) in [
        (
            json!({"match": word, "regex": format!("^{word} 1000$"), "user": 0}),
            1.0,
        ),
        (json!({"match": word, "regex": "^sleep$", "user": "root"}), 1.0),
        (json!({"match": word, "regex": "2000"}), 0.0),
        (json!({"match": word, "user": 54321}), 0.0),
        (json!({"match": word, "exe": "/bin/sh"}), 0.0),
    ] {
        let ran = run_once(options.clone(), &context).await;
        assert_eq!(ran.count(), Some(count), "{options}");
    }
}
