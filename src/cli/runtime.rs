//! Runtimes, and the limits of the process that they need.

use std::num::NonZero;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

/// Starts a runtime whose threads have this name, with one thread per core or with `max_threads`.
pub fn start(name: &'static str, max_threads: Option<usize>) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let (Some(max), Ok(cores)) = (max_threads, std::thread::available_parallelism()) {
        builder.worker_threads(cores.get().min(max));
    }
    builder
        .thread_name(name)
        .enable_all()
        .build()
        .with_context(|| format!("starting the {name} runtime"))
}

/// How many threads run checks: half of the cores. The others remain for scrapes, for expressions and for the targets on this machine.
/// Runs mostly wait, and one thread makes more than 10,000 HTTP runs a second. With more threads, each event of a socket also wakes a thread
/// that finds nothing to do, which costs a fifth of the CPU time of a run.
pub fn check_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).max(1)
}

/// Raises the limit on open files as far as the system allows, because each run needs a socket. If that fails, the old limit
/// stays.
pub fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "can't raise the limit on open files");
    }
}
