//! The process check: are as many processes there as there should be, and what do they use?
//!
//! Counted is every process that meets all criteria, kernel threads (which have a name only) included. Not counted are
//! the exporter itself, its ancestors and whatever else belongs to the command that started it (see
//! [`super::proc_scan`]), and processes that have ended but were not reaped (zombies).

mod cpu;
mod samples;
mod user;

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::io::Errno;

use super::Shared;
use super::proc_scan::{Answer, Criteria, ScanError, Scanner};
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
    /// What needs no looking up.
    criteria: Arc<Criteria>,
    cpu: CpuCounter,
}

impl ProcessCheck {
    /// A check with these settings.
    pub fn new(settings: &ProcessSettings, shared: &Shared) -> Self {
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
            scanner: shared.processes.clone(),
            criteria: Arc::new(criteria),
            cpu: CpuCounter::default(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// `missing` and `limit` for too few and too many processes; `permission` when there are too few, but some that the
    /// exporter may not look at; `unreachable` and `permission` when /proc can't be listed.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        report.step = "looking up the user and the executable".into();
        let criteria = self.look_up().await?;
        let answer = self.scan(criteria, report).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                report.samples.extend(samples::cpu(&self.cpu));
                return Err(scan_problem(&error));
            }
        };
        self.cpu.update(&answer.found.processes, &answer.survey.processes);
        report.samples.extend(samples::cpu(&self.cpu));
        report.samples.extend(samples::of(&answer));
        let processes = answer.found.processes.iter().take(MAX_PIDS);
        report.pids = processes
            .filter_map(|process| u32::try_from(process.identity.0).ok())
            .collect();
        judge(&self.settings, &answer)
    }

    async fn scan(&self, criteria: Arc<Criteria>, report: &mut Report) -> Result<Answer, ScanError> {
        let _step = ScanStep {
            report,
            scanner: &self.scanner,
        };
        self.scanner.scan(criteria).await
    }

    /// The criteria as they are now: users and symbolic links change.
    async fn look_up(&self) -> Result<Arc<Criteria>, Problem> {
        if self.settings.user.is_none() && self.settings.exe.is_none() {
            return Ok(Arc::clone(&self.criteria));
        }
        let mut criteria = Criteria::clone(&self.criteria);
        criteria.user = match &self.settings.user {
            None => None,
            Some(User::Id(id)) => Some(*id),
            Some(User::Name(name)) => Some(user::look_up(name).await?),
        };
        if let Some(path) = &self.settings.exe {
            let mut paths = vec![path.as_os_str().as_bytes().to_vec()];
            // /proc shows where links end. An executable that is not there now may still be running.
            if let Ok(end) = tokio::fs::canonicalize(path).await {
                paths.push(end.into_os_string().into_encoded_bytes());
            }
            criteria.executables = Some(paths);
        }
        Ok(Arc::new(criteria))
    }
}

/// Says, also when the run is cancelled at its deadline, how far the scan has come: which process it is stuck at.
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
        ScanError::List { cause, .. } => (shortage::of_errno(*cause), Reason::Unreachable),
        ScanError::Empty { .. } => (None, Reason::Unreachable),
        ScanError::Thread { cause } => {
            let cause = std::io::Error::from(*cause);
            (Some(shortage::of_thread(&cause)), Reason::Internal)
        }
        ScanError::Panicked => (None, Reason::Internal),
    };
    shortage::problem_or(shortage, reason, error)
}

/// Whether the number found is right. The message names no process by its command line, which may hold secrets.
fn judge(settings: &ProcessSettings, answer: &Answer) -> Result<(), Problem> {
    let count = answer.found.processes.len() as u64;
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
    let mut message = format!("{found}; at least {} expected", settings.min);
    if answer.found.zombies > 0 {
        message.push_str(&format!(
            "; {} more ended, but were not reaped by their parent",
            answer.found.zombies
        ));
    }
    if answer.found.kin > 0 {
        message.push_str(&format!(
            "; {} more started the exporter or belong to its command, and are not counted",
            answer.found.kin
        ));
    }
    if answer.found.excluded > 0 {
        message.push_str(&format!(
            "; {} more are left out by exclude",
            answer.found.excluded
        ));
    }
    if answer.found.unknown > 0 {
        message.push_str(&format!(
            "; {} can't be told, since what decides can't be read (for executables that takes CAP_SYS_PTRACE)",
            answer.found.unknown
        ));
    }
    if answer.survey.is_partial {
        message.push_str(
            "; not all processes are shown to the exporter: is /proc mounted with hidepid, or ProtectProc= set?",
        );
    }
    let reason = if answer.survey.is_partial || answer.found.unknown > 0 {
        Reason::Permission
    } else {
        Reason::Missing
    };
    Err(Problem::new(reason, message))
}
