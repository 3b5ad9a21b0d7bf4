//! What keeping the history of 1,000 services costs. The recording runs in a runtime of its own in this process, so that its CPU time is known
//! exactly.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use upkeep_exporter::config;
use upkeep_exporter::history::History;
use upkeep_exporter::model::{Clock, Conclusion, Outcome, SystemClock};
use upkeep_exporter::store::Store;
use upkeep_exporter::verdict::Run;

use super::page::SERVICES;
use crate::report::Line;

/// How long it is measured: more than two saves.
const MEASURED: Duration = Duration::from_secs(120);
/// What the log then has: two saves of 50 s each.
const SAVED: Duration = Duration::from_secs(100);
/// The time between two runs of a check.
const INTERVAL: Duration = Duration::from_secs(15);
/// The time between two batches of runs.
const PAUSE: Duration = Duration::from_millis(100);
/// The name of the threads that record and save.
const THREADS: &str = "history";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let mut text = String::from("services:\n");
    for number in 0..SERVICES {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  - {{ key: service-{number}, port: 1 }}");
    }
    let config = config::parse(&text, "bench.yml")?.config;
    let clock = Arc::new(SystemClock::new());
    let state = directory.join("state");
    let (store, _) = Store::open(Arc::clone(&clock) as Arc<dyn Clock>, Some(state.clone()))?;
    store.apply(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(THREADS)
        // Threads that end would take their CPU time with them.
        .thread_keep_alive(MEASURED * 2)
        .enable_time()
        .build()?;
    let (history, warnings) = History::start(runtime.handle(), Arc::clone(&store), Arc::clone(&clock) as _);
    ensure!(warnings.is_empty(), "{warnings:?}");

    let handles = store.handles();
    let batches = INTERVAL.as_millis() / PAUSE.as_millis();
    let size = handles.len().div_ceil(usize::try_from(batches)?);
    let (begun, cpu) = (Instant::now(), cpu_of_threads()?);
    for batch in handles.chunks(size).cycle() {
        if begun.elapsed() >= MEASURED {
            break;
        }
        for (_, handle, _) in batch {
            let ended = clock.now();
            let duration = Duration::from_micros(900 + u64::from(begun.elapsed().subsec_micros() % 100));
            let run = Run {
                started: ended - duration,
                ended,
            };
            let outcome = Outcome {
                conclusion: Conclusion::Success,
                duration,
                response_time: Some(duration),
                ..Outcome::default()
            };
            store.record(*handle, run, outcome, 0);
        }
        sleep(PAUSE);
    }
    let share = (cpu_of_threads()? - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    ensure!(
        history.reader().services().len() == SERVICES,
        "services are missing"
    );
    let saved = std::fs::metadata(state.join("history.log")).context("the history was not saved")?;
    drop(history);
    runtime.shutdown_background();
    Ok(vec![
        Line::new("history of 1,000 services: CPU", 100.0 * share, "% of a core").at_most(1.0),
        Line::new(
            "history of 1,000 services: written per minute",
            saved.len() as f64 / 1e3 / (SAVED.as_secs_f64() / 60.0),
            "kB",
        ),
    ])
}

/// The CPU time of the threads that record and save.
fn cpu_of_threads() -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for task in procfs::process::Process::myself()?.tasks()? {
        let task = task?;
        if task.stat()?.comm == THREADS {
            // In nanoseconds, unlike the times in `stat`.
            total += Duration::from_nanos(task.schedstat()?.sum_exec_runtime);
        }
    }
    Ok(total)
}
