//! No input makes the loader panic, or take more than 5 s or 500 MB.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use upkeep_exporter::config::{MAX_FILE_BYTES, MAX_SHOWN, parse, parse_bytes};

use super::expensive_files::{SERVICES, cases, cel, lines};

/// The most CPU time of one file. The documented limit is that of the optimised build; without optimisation the worst of
/// these files take four times as long.
pub const MAX_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 5 });
const MAX_MEMORY_KB: u64 = 500_000;

const CASE: &str = "UPKEEP_TEST_CASE";

/// The CPU time of this thread.
pub fn thread_time() -> Duration {
    clock_time(rustix::time::ClockId::ThreadCPUTime)
}

fn clock_time(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap()
}

/// Loads one case in this process and prints its time and memory: `time_ms memory_kb`.
fn measure(case: &str) {
    let (_, make) = cases().into_iter().find(|(name, _)| *name == case).unwrap();
    let text = make();
    assert!(text.len() <= MAX_FILE_BYTES, "{case} is longer than the limit");
    // The time of the whole process, since the loader uses threads.
    let clock = rustix::time::ClockId::ProcessCPUTime;
    let started = clock_time(clock);
    let errors = parse(&text, "case.yml").map_or_else(|error| error.to_string(), |_| String::new());
    let milliseconds = (clock_time(clock) - started).as_millis();
    assert!(errors.lines().count() <= MAX_SHOWN + 2);
    assert!(errors.len() < 200_000, "{} bytes of errors", errors.len());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    println!("measured {milliseconds} {}", peak.trim().trim_end_matches(" kB"));
}

#[test]
fn the_most_expensive_files_stay_within_time_and_memory() {
    if let Ok(case) = std::env::var(CASE) {
        return measure(&case);
    }
    let cases = cases();
    let next = AtomicUsize::new(0);
    let measured = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((case, _)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = measure_in_child(case);
                    measured.lock().unwrap().push(result);
                }
            });
        }
    });
    let measured = measured.into_inner().unwrap();
    assert_eq!(measured.len(), cases.len());
    let lines: Vec<_> = measured
        .iter()
        .map(|(case, time, kb)| format!("{case}: {time:?}, {} MB", kb / 1000))
        .collect();
    println!("{}", lines.join("\n"));
    for (case, time, memory_kb) in measured {
        assert!(time <= MAX_TIME, "{case} took {time:?} of CPU time");
        assert!(memory_kb <= MAX_MEMORY_KB, "{case} took {memory_kb} kB");
    }
}

/// Measures one case in a process of its own. Returns its name, CPU time and memory in kB.
fn measure_in_child(case: &'static str) -> (&'static str, Duration, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "limits::the_most_expensive_files_stay_within_time_and_memory",
            "--nocapture",
        ])
        .env(CASE, case)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{case}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let measured = text
        .lines()
        .find_map(|line| line.split_once("measured "))
        .unwrap()
        .1;
    let (milliseconds, memory_kb) = measured.split_once(' ').unwrap();
    (
        case,
        Duration::from_millis(milliseconds.parse().unwrap()),
        memory_kb.parse().unwrap(),
    )
}

#[test]
fn thousands_of_different_expressions_load() {
    let different = |index| {
        format!("body.status == 'ok' && body.queue.size() < {index} && body.items.all(x, x.age < 30)")
    };
    let text = lines(SERVICES, 3000, |index| cel(index, &different(index)));
    parse(&text, "cel.yml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn too_many_different_expressions_are_errors_at_their_keys() {
    let text = lines(SERVICES, 10_000, |index| {
        cel(index, &format!("body.a == '{:0>99}'", index))
    });
    let error = parse(&text, "cel.yml").unwrap_err();
    assert!(
        error.errors[0]
            .path
            .ends_with("fail_if_body_json_not_matches_cel")
            && error.errors[0].message.ends_with("(equal ones count once)"),
        "{error}"
    );
    let equal = lines(SERVICES, 10_000, |index| {
        cel(index, &format!("body.a == '{:0>99}'", 1))
    });
    parse(&equal, "cel.yml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_file_that_is_too_long_is_not_parsed() {
    let error = parse_bytes(&vec![b'a'; MAX_FILE_BYTES + 1], "long.yml").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("long.yml: the file is longer than 16 MiB"),
        "{error}"
    );
}
