//! Celery checks against real workers of Debian's Celery, over a real Redis and a real RabbitMQ.

mod faults;
mod over_amqp;
mod over_redis;
mod serializers;

use std::collections::HashSet;
use std::time::Duration;

use upkeep_exporter::check::Check;
use upkeep_exporter::model::Reason;

use crate::common::ran::{Ran, check, run};

/// A run's deadline: the default one.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a worker may take to reconnect to its broker: it waits longer after each attempt.
const RECONNECT: Duration = Duration::from_secs(60);

/// A check of the broker at `url` with additional keys.
fn celery(url: &str, more: &str) -> Check {
    check(&format!("kind: celery, broker_url: \"{url}\"{more}"))
}

/// The number of connections from this process to a local port. Workers are other processes.
fn connections_to(port: u16) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let sockets: HashSet<String> = links
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
        .filter_map(|target| {
            Some(
                target
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let remote = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields[2] == remote && sockets.contains(fields[9]))
        .count()
}

/// Repeats runs until one succeeds.
async fn succeeds(check: &mut Check, what: &str) -> Ran {
    let begun = std::time::Instant::now();
    loop {
        let ran = run!(check, DEADLINE);
        if ran.result == Some(Ok(())) {
            return ran;
        }
        assert!(begun.elapsed() < RECONNECT, "{what}: {:?}", ran.result);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Ran {
    fn workers(&self) -> Option<f64> {
        self.value("upkeep_celery_workers", None)
    }

    /// Whether this worker replied; `None` if it is not known.
    fn is_up(&self, worker: &str) -> Option<f64> {
        self.value("upkeep_celery_worker_up", Some(worker))
    }

    fn messages(&self, queue: &str) -> Option<f64> {
        self.value("upkeep_celery_queue_messages", Some(queue))
    }

    /// Asserts that the run was cancelled during this step.
    #[track_caller]
    fn step(&self, step: &str) -> &Self {
        assert_eq!(self.result, None);
        assert!(self.report.step.starts_with(step), "{}", self.report.step);
        self
    }

    /// Asserts that the run succeeded with a warning of this reason that contains the text.
    #[track_caller]
    fn warned(&self, reason: Reason, text: &str) -> &Self {
        self.succeeded();
        let warning = self.report.warning.as_ref().expect("a warning");
        assert_eq!(warning.reason, reason, "{warning}");
        assert!(warning.message().contains(text), "{warning}");
        self
    }

    /// Asserts that the run succeeded without a warning.
    #[track_caller]
    fn fine(&self) -> &Self {
        self.succeeded();
        assert_eq!(self.report.warning, None);
        self
    }
}
