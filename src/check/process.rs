//! The process check. It compares the number of matching processes with `min` and `max`, and measures what they use.
//!
//! It counts every process that meets all criteria, including kernel threads, which only have a name. It does not count
//! zombies, the exporter, its ancestors, and other processes of the command that started it (see [`super::proc_scan`]).

mod cpu;
mod samples;

use std::sync::Arc;

use rustix::io::Errno;

use super::host_reads::HostReads;
use super::proc_scan::{Criteria, ScanError, ScanResult, Scanner};
use super::{CheckContext, executable, user};
use crate::config::process::{PidNamespace, ProcessSettings, User};
use crate::model::{MAX_PIDS, Problem, Reason, Report};
use crate::net::shortage;

use cpu::CpuCounter;
pub use samples::{CPU, FAMILIES, MAX_FDS, OPEN_FDS, PROCESSES, RESIDENT_MEMORY, START_TIME, THREADS};

/// A process check.
#[derive(Debug)]
pub struct ProcessCheck {
    settings: ProcessSettings,
    scanner: Scanner,
    reads: HostReads,
    /// The criteria without the user and the executable, which every run resolves.
    criteria: Arc<Criteria>,
    cpu: CpuCounter,
}

impl ProcessCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &ProcessSettings, context: &CheckContext) -> Self {
        let criteria = Criteria {
            patterns: settings
                .any_match
                .iter()
                .chain(&settings.regex)
                .cloned()
                .collect(),
            command_line: settings.cmdline_regex.clone(),
            exclude: settings.exclude.clone(),
            is_own_namespace: settings.pid_namespace == PidNamespace::Own,
            ..Criteria::default()
        };
        Self {
            settings: settings.clone(),
            scanner: context.processes.clone(),
            reads: context.host.clone(),
            criteria: Arc::new(criteria),
            cpu: CpuCounter::default(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// `missing` if there are too few processes, `limit` if there are too many. `permission` if there are too few, but some
    /// that the exporter may not read. `unreachable` or `permission` if /proc can't be listed.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        report.step = "looking up the user and the executable".into();
        let criteria = self.resolve_criteria().await?;
        let scan = match self.scan(criteria, report).await {
            Ok(scan) => scan,
            Err(error) => {
                report.samples.extend(samples::cpu(&self.cpu));
                return Err(scan_problem(&error));
            }
        };
        self.cpu.update(&scan.found.processes, &scan.survey.processes);
        report.samples.extend(samples::cpu(&self.cpu));
        report.samples.extend(samples::gauges(&scan));
        report.running_since = samples::oldest_start(&scan);
        let processes = scan.found.processes.iter().take(MAX_PIDS);
        report.pids = processes
            .filter_map(|process| u32::try_from(process.identity.0).ok())
            .collect();
        judge(&self.settings, &scan)
    }

    async fn scan(&self, criteria: Arc<Criteria>, report: &mut Report) -> Result<ScanResult, ScanError> {
        let _step = ScanStep {
            report,
            scanner: &self.scanner,
        };
        self.scanner.scan(criteria).await
    }

    /// Resolves the user and the executable for one run, because users and symbolic links can change.
    async fn resolve_criteria(&self) -> Result<Arc<Criteria>, Problem> {
        if self.settings.user.is_none() && self.settings.exe.is_none() {
            return Ok(Arc::clone(&self.criteria));
        }
        let mut criteria = Criteria::clone(&self.criteria);
        criteria.user = match &self.settings.user {
            None => None,
            Some(User::Id(id)) => Some(*id),
            Some(User::Name(name)) => Some(user::resolve(name).await?),
        };
        if let Some(path) = &self.settings.exe {
            criteria.executables = Some(executable::resolve(path, &self.reads).await?);
        }
        Ok(Arc::new(criteria))
    }
}

/// Sets the report's step to the process that the scan reads, even if the run is cancelled at its deadline.
struct ScanStep<'a> {
    report: &'a mut Report,
    scanner: &'a Scanner,
}

impl Drop for ScanStep<'_> {
    fn drop(&mut self) {
        let root = self.scanner.root().display();
        self.report.step = match self.scanner.current_process() {
            Some(id) => format!("scanning {root}, now at process {id}").into(),
            None => format!("scanning {root}").into(),
        };
    }
}

fn scan_problem(error: &ScanError) -> Problem {
    let (shortage, reason) = match error {
        ScanError::List {
            cause: Errno::ACCESS | Errno::PERM,
            ..
        } => (None, Reason::Permission),
        ScanError::List { cause, .. } => (shortage::from_errno(*cause), Reason::Unreachable),
        ScanError::Empty { .. } => (None, Reason::Unreachable),
        ScanError::Thread { cause } => {
            let cause = std::io::Error::from(*cause);
            (Some(shortage::from_thread_error(&cause)), Reason::Internal)
        }
        ScanError::Panicked => (None, Reason::Internal),
    };
    shortage::problem_or(shortage, reason, error)
}

/// Compares the number of processes with the limits. The message contains no command lines, because they can contain
/// secrets.
fn judge(settings: &ProcessSettings, scan: &ScanResult) -> Result<(), Problem> {
    let count = scan.found.processes.len() as u64;
    let target = settings.target();
    let found = match count {
        0 => format!("no process matches {target}"),
        1 => format!("1 process matches {target}"),
        _ => format!("{count} processes match {target}"),
    };
    if let Some(max) = settings.max.filter(|max| count > *max) {
        let message = format!("{found}; at most {max} expected");
        return Err(Problem::new(Reason::Limit, message));
    }
    if count >= settings.min {
        return Ok(());
    }
    let message = format!("{found}; at least {} expected{}", settings.min, explain(scan));
    let reason = if scan.survey.is_partial || scan.found.unknown > 0 {
        Reason::Permission
    } else {
        Reason::Missing
    };
    Err(Problem::new(reason, message))
}

/// Why other processes were not counted.
fn explain(scan: &ScanResult) -> String {
    let found = &scan.found;
    let mut text = String::new();
    for (count, cause) in [
        (found.zombies, "more ended, but their parent has not reaped them"),
        (
            found.own_command,
            "more are not counted because they started the exporter or belong to its command",
        ),
        (found.excluded, "more match, but are excluded"),
        (
            found.unknown,
            "more may match, but the exporter may not read them (reading executables needs CAP_SYS_PTRACE)",
        ),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {cause}"));
        }
    }
    if scan.survey.is_partial {
        text.push_str(
            "; the exporter does not see all processes: is /proc mounted with hidepid, or ProtectProc= set?",
        );
    }
    text
}
