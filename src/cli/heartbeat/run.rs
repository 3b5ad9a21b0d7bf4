//! `upkeep_exporter heartbeat run`: runs a job and reports it. The job comes first: no heartbeat delays it or makes it fail.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::beat::{Beat, ExitStatus};
use super::client::{HeartbeatClient, HeartbeatError};
use super::copy::OutputCopies;
use super::delivery::deliver;
use super::flags::RunFlags;
use super::job::{Job, JobEnd};
use super::signals::Signals;
use crate::cli::exit::print_error;

/// How long the heartbeat for the start may take. It is sent once: without it, only the run time is unknown.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last heartbeat is retried after a signal ended the job: the machine may shut down. systemd kills a unit after 90 s.
const STOPPED_RETRY: Duration = Duration::from_secs(10);

/// How long the last heartbeat waits for output that a slow reader has not read yet.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the job, reports it, and returns its exit status.
pub async fn run(flags: RunFlags) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch().context("catching signals")?;
    let mut job = match Job::start(&flags) {
        Ok(job) => job,
        Err(error) => {
            print(&error);
            let end = JobEnd {
                status: error.status(),
                was_stopped: false,
            };
            let mut reporter = Reporter::new(&flags);
            reporter
                .report_end(&end, error.to_string().into(), &mut signals)
                .await;
            return Ok(end.status.0.into());
        }
    };
    let mut reporter = Reporter::new(&flags);
    reporter.report_start();
    let end = job
        .wait(&mut signals)
        .await
        .context("waiting for the end of the job")?;
    let output = match job.copies() {
        Some(copies) => last_output(copies).await,
        None => Bytes::new(),
    };
    reporter.report_end(&end, output, &mut signals).await;
    if let Some(copies) = job.copies() {
        tokio::select! {
            () = copies.drain(None) => {}
            // The reader of the output may never read the rest.
            () = signals.stop() => {}
        }
    }
    let ExitStatus(status) = end.status;
    Ok(status.into())
}

async fn last_output(copies: &OutputCopies) -> Bytes {
    copies.drain(Some(DRAIN)).await;
    copies.tail().into()
}

/// Reports one run of a job.
struct Reporter {
    client: Client,
    retry_for: Duration,
    /// The error of the first heartbeat, if it was printed.
    printed: Option<String>,
}

/// The client, which one task at a time uses.
enum Client {
    /// There is none: the flags are invalid, or the task that used it hangs.
    Unusable,
    Idle(Box<HeartbeatClient>),
    /// It reports the start.
    Starting {
        task: JoinHandle<(Box<HeartbeatClient>, Option<HeartbeatError>)>,
        deadline: Instant,
    },
}

impl Reporter {
    fn new(flags: &RunFlags) -> Self {
        let mut printed = None;
        let client = match HeartbeatClient::new(&flags.exporter, Some(flags.rid.clone())) {
            Ok(client) => Client::Idle(Box::new(client)),
            Err(message) => {
                print(&format_args!("{message}; the job runs without heartbeats"));
                printed = Some(message);
                Client::Unusable
            }
        };
        Self {
            client,
            retry_for: flags.exporter.retry_for,
            printed,
        }
    }

    /// Reports the start in a task.
    fn report_start(&mut self) {
        self.client = match std::mem::replace(&mut self.client, Client::Unusable) {
            Client::Idle(mut client) => Client::Starting {
                deadline: Instant::now() + START_TIMEOUT,
                task: tokio::spawn(async move {
                    let result = client.send(Beat::Start, Bytes::new(), START_TIMEOUT).await;
                    // Temporary errors may be over at the end of the job.
                    let error = result.err().filter(|error| !error.is_temporary());
                    if let Some(error) = &error {
                        print(&format_args!(
                            "can't report the start of the job to {}: {error}; the job runs",
                            client.shown()
                        ));
                    }
                    (client, error)
                }),
            },
            other => other,
        };
    }

    /// Reports the end, and retries until the exporter has it, the time for retries is over, or a signal requests the end.
    async fn report_end(&mut self, end: &JobEnd, message: Bytes, signals: &mut Signals) {
        let Some(mut client) = self.take_client().await else {
            return;
        };
        // A signal to the whole process group may have ended the job before this command saw it. Signals until now shorten the attempts,
        // but the first one takes place.
        let was_stopped = signals.take_stop() || end.was_stopped;
        let retry_for = match was_stopped {
            true => self.retry_for.min(STOPPED_RETRY),
            false => self.retry_for,
        };
        let shown = client.shown().to_owned();
        let delivery = deliver(&mut client, Beat::Ended(end.status), &message, retry_for);
        let result = tokio::select! {
            biased;
            result = delivery => result.map_err(|error| error.to_string()),
            () = signals.stop() => Err("a signal ended the attempts".to_owned()),
        };
        if let Err(error) = result
            && self.printed.as_ref() != Some(&error)
        {
            print(&format_args!(
                "can't report the end of the job to {shown}: {error}"
            ));
        }
    }

    /// The client, after the heartbeat for the start: it must not arrive after the one for the end.
    async fn take_client(&mut self) -> Option<Box<HeartbeatClient>> {
        match std::mem::replace(&mut self.client, Client::Unusable) {
            Client::Unusable => None,
            Client::Idle(client) => Some(client),
            Client::Starting { task, deadline } => {
                // The task has the same deadline, and ends a moment later.
                let ended = timeout_at(deadline + START_TIMEOUT, task).await;
                let (client, error) = ended.ok()?.ok()?;
                self.printed = error.map(|error| error.to_string());
                Some(client)
            }
        }
    }
}

fn print(message: &dyn std::fmt::Display) {
    print_error(&format_args!("upkeep_exporter: {message}"));
}
