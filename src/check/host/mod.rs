//! The host check. It measures the machine that the exporter runs on, and warns when a configured limit is reached.
//!
//! Figures are read by threads of their own, because a file system whose server is gone blocks whoever asks for its free space. Such a
//! file system fails the run shortly before its deadline; the other values are measured and judged as usual.

mod cpu;
mod families;
mod judge;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::CheckContext;
pub use super::host_reads::fuzz_parse;
use super::host_reads::{DiskUsage, Figures, HostReads, RESOURCES};
use crate::config::duration::DurationText;
use crate::config::host::{DiskSettings, HostSettings};
use crate::model::{Finding, Problem, Reason, Report, Sample};
use cpu::CpuMeter;
pub use families::{CPU_USAGE, FAMILIES};
use judge::{Crossed, judge, judge_disk};

/// How long before its deadline a run stops waiting for reads that hang, so that it can report the other values.
const MARGIN: Duration = Duration::from_millis(250);

/// How long a run waits at most. Only runs without a deadline wait this long.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A host check.
#[derive(Debug)]
pub struct HostCheck {
    settings: HostSettings,
    procfs: PathBuf,
    reads: HostReads,
    cpu: CpuMeter,
}

/// The problems of a run.
#[derive(Debug, Default)]
struct Problems {
    /// What could not be measured.
    failures: Vec<Problem>,
    /// The limits that are reached.
    limits: Vec<Crossed>,
}

impl HostCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &HostSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            procfs: context.procfs.clone(),
            reads: context.host.clone(),
            cpu: CpuMeter::default(),
        }
    }

    /// Runs once. Reached limits are warnings.
    ///
    /// # Errors
    /// `timeout` if a file system or /proc does not respond, `missing` or `state` if a mount point does not exist or nothing is
    /// mounted there, `permission`, `unreachable` or `protocol` if a value can't be read.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        report.step = "reading the figures of the machine".into();
        let until = wait_until(report.deadline);
        let disks = self.settings.disks.iter();
        let disks = disks.map(|disk| read_disk(&self.reads, disk, until));
        let (figures, disks) = tokio::join!(read_figures(&self.reads, &self.procfs, until), join_all(disks));
        let mut problems = Problems::default();
        match figures {
            Ok(figures) => {
                let cpu = self.cpu.update(figures.cpu, figures.cores);
                report.samples.extend(samples(&figures, cpu));
                problems.limits.extend(judge(&self.settings, &figures, cpu));
            }
            Err(problem) => problems.failures.push(problem),
        }
        for (settings, usage) in self.settings.disks.iter().zip(disks) {
            match usage {
                Ok(usage) => {
                    report.samples.extend(disk_samples(&settings.mount, &usage));
                    problems.limits.extend(judge_disk(settings, &usage));
                }
                Err(problem) => problems.failures.push(problem),
            }
        }
        problems.report(report)
    }
}

/// When a run stops waiting: shortly before its deadline.
fn wait_until(deadline: Option<Instant>) -> Instant {
    let now = Instant::now();
    let left = deadline.map_or(MAX_WAIT, |deadline| deadline.saturating_duration_since(now));
    now + left.saturating_sub(MARGIN.min(left / 4))
}

async fn read_figures(reads: &HostReads, procfs: &Path, until: Instant) -> Result<Figures, Problem> {
    let read = reads.figures(procfs);
    within(until, read, || format!("reading {}", procfs.display())).await
}

async fn read_disk(reads: &HostReads, disk: &DiskSettings, until: Instant) -> Result<DiskUsage, Problem> {
    let mount = &disk.mount;
    let read = reads.disk(mount);
    within(until, read, || {
        format!("reading the file system at {}", mount.display())
    })
    .await
}

/// Waits for a read.
async fn within<T>(
    until: Instant,
    read: impl Future<Output = Result<T, Problem>>,
    what: impl FnOnce() -> String,
) -> Result<T, Problem> {
    let started = Instant::now();
    match timeout_at(until, read).await {
        Ok(result) => result,
        Err(_) => {
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let waited = DurationText(Duration::from_millis(millis));
            Err(Problem::new(
                Reason::Timeout,
                format_args!("{}: no response within {waited}, it hangs", what()),
            ))
        }
    }
}

impl Problems {
    /// Adds the problems to the report. The message has all of them, failures first.
    fn report(self, report: &mut Report) -> Result<(), Problem> {
        for crossed in &self.limits {
            report.findings.push(Finding {
                subject: crossed.subject.clone(),
                state: if crossed.is_unknown { "unknown" } else { "limit" },
                detail: crossed.detail.clone(),
                fix: None,
            });
        }
        let limits = self.limits.iter();
        let limits = limits.map(|crossed| format!("{}: {}", crossed.subject, crossed.detail));
        let failures = self.failures.iter().map(|problem| problem.message().to_owned());
        let message = failures.chain(limits).collect::<Vec<_>>().join("; ");
        // A lack of resources of the exporter hides no problem of the machine.
        let is_conclusive = |problem: &&Problem| problem.shortage.is_none();
        let first = self.failures.iter().find(is_conclusive).or(self.failures.first());
        if let Some(failure) = first {
            return Err(failure.with_message(message));
        }
        if !self.limits.is_empty() {
            let is_limit = self.limits.iter().any(|crossed| !crossed.is_unknown);
            let reason = if is_limit { Reason::Limit } else { Reason::Missing };
            report.warning = Some(Problem::new(reason, message));
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus stores doubles")]
fn samples(figures: &Figures, cpu: Option<f64>) -> Vec<Sample> {
    let sample = |family, labels: &[&'static str], value: f64| Sample {
        family,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        value,
    };
    let memory = figures.memory;
    let mut samples = vec![
        sample(&families::CPUS, &[], figures.cores as f64),
        sample(&families::MEMORY_SIZE, &[], memory.total as f64),
        sample(&families::MEMORY_AVAILABLE, &[], memory.available as f64),
        sample(&families::SWAP_SIZE, &[], memory.swap_total as f64),
        sample(
            &families::SWAP_USED,
            &[],
            memory.swap_total.saturating_sub(memory.swap_free) as f64,
        ),
        sample(&families::OPEN_FDS, &[], figures.descriptors.open as f64),
        sample(&families::MAX_FDS, &[], figures.descriptors.max as f64),
    ];
    samples.extend(cpu.map(|cpu| sample(&CPU_USAGE, &[], cpu)));
    let windows = ["1m", "5m", "15m"].into_iter().zip(figures.load);
    samples.extend(windows.map(|(window, load)| sample(&families::LOAD, &[window], load)));
    let pressure = RESOURCES.into_iter().zip(figures.pressure.into_iter().flatten());
    samples.extend(
        pressure
            .map(|(resource, pressure)| sample(&families::PRESSURE_WAITING, &[resource], pressure.waited)),
    );
    samples
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus stores doubles")]
fn disk_samples(mount: &Path, usage: &DiskUsage) -> Vec<Sample> {
    let mount = mount.display().to_string();
    let sample = |family, value: u64| Sample {
        family,
        labels: vec![mount.clone().into()],
        value: value as f64,
    };
    let mut samples = vec![
        sample(&families::DISK_SIZE, usage.size),
        sample(&families::DISK_AVAILABLE, usage.available),
    ];
    if usage.inodes > 0 {
        samples.push(sample(&families::DISK_INODES, usage.inodes));
        samples.push(sample(&families::DISK_INODES_FREE, usage.inodes_free));
    }
    samples
}
