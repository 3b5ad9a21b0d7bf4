//! Runs the program of a check, after it was verified that only root and the exporter's user can change it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::user;
use crate::config::exec::{ExecFormat, ExecSettings};
use crate::config::exec_directories::resolve_trusted;
use crate::config::process::User;
use crate::model::{Problem, Reason, Report, Shortage};
use crate::net::shortage;
use crate::supervise::{Ended, Job, Output, RunError, Supervisor};

/// How many programs run at once. Each one has a supervisor, so more would take memory and processes from the machine.
const MAX_PROGRAMS: usize = 32;

/// The longest standard output, in bytes. Longer outputs are a problem of reason `limit`.
const MAX_OUTPUT: usize = 64 << 10;
/// The longest standard output with metrics.
const MAX_METRICS: usize = 1 << 20;
/// The longest standard error, in bytes.
const MAX_ERRORS: usize = 1 << 20;
/// The size of the end of the standard error that may be in a message, in bytes.
pub const MAX_ERROR_TAIL: usize = 400;
/// The largest number of processes and threads of the program's user, so that a program that creates processes without end does not
/// take the machine. The exporter's own threads count if it has the same user.
const MAX_PROCESSES: u32 = 2048;

/// How long before the deadline a run stops waiting for other programs, so that it can report them.
const REST: Duration = Duration::from_millis(100);

/// A program that did not end in time is not a failure if the run waited for other programs for more than the timeout divided by this.
const TOLERATED_WAIT_DIVISOR: u32 = 10;

/// What the exec checks of one exporter share.
#[derive(Clone, Debug)]
pub struct Programs {
    supervisor: Supervisor,
    slots: Arc<Semaphore>,
}

impl Default for Programs {
    fn default() -> Self {
        Self::new(Supervisor::default())
    }
}

impl Programs {
    /// Runs programs under this supervisor.
    pub fn new(supervisor: Supervisor) -> Self {
        Self {
            supervisor,
            slots: Arc::new(Semaphore::new(MAX_PROGRAMS)),
        }
    }

    /// Runs the program of a check, whose programs take `turn` one after the other. If the future is dropped, everything that the
    /// program started is killed.
    ///
    /// # Errors
    /// When it may not run, or did not end by itself.
    pub async fn run(
        &self,
        settings: &ExecSettings,
        turn: &Arc<Semaphore>,
        report: &mut Report,
    ) -> Result<Output, Problem> {
        let program = settings.program.display();
        // Not a shortage: a program that hangs so that it can't be killed is what the check is for.
        let turn = acquire(turn, report.deadline, || {
            Problem::new(
                Reason::Timeout,
                format_args!(
                    "the previous run of {program} was cancelled, but has not ended: it may wait for a broken disk"
                ),
            )
        });
        let turn = turn.await?;
        let begun = Instant::now();
        let slot = acquire(&self.slots, report.deadline, || {
            Problem::from_shortage(
                Shortage::Programs,
                format_args!(
                    "{MAX_PROGRAMS} other programs run: raise the intervals of exec checks, or lower their timeouts"
                ),
            )
        });
        let slot = slot.await?;
        let waited = begun.elapsed();
        // The program did not have its whole time.
        let short_deadline = report
            .deadline
            .filter(|deadline| waited > (*deadline - begun) / TOLERATED_WAIT_DIVISOR);
        report.step = format!("running {program}").into();
        let run = self.run_now(settings, (turn, slot));
        match short_deadline {
            None => run.await,
            Some(deadline) => tokio::time::timeout_at(deadline - REST, run)
                .await
                .unwrap_or_else(|_| {
                    Err(Problem::from_shortage(
                        Shortage::Programs,
                        format_args!(
                            "{program} was killed, because it waited {waited:.1?} of its timeout for {MAX_PROGRAMS} other programs: raise \
                             the intervals of exec checks, or lower their timeouts"
                        ),
                    ))
                }),
        }
    }

    async fn run_now(&self, settings: &ExecSettings, permits: Permits) -> Result<Output, Problem> {
        let program = settings.program.display();
        let user = find_user(settings).await?;
        let (file, permits) = verify(settings, permits).await?;
        let job = Job {
            file: Some(file),
            command: std::iter::once(settings.program.clone().into_os_string())
                .chain(
                    settings
                        .arguments
                        .iter()
                        .map(|argument| argument.unhidden().into()),
                )
                .collect(),
            environment: vec![("LC_ALL".to_owned(), "C.UTF-8".into())],
            user,
            max_output: match settings.format {
                ExecFormat::Prometheus => MAX_METRICS,
                ExecFormat::Nagios | ExecFormat::ExitCode => MAX_OUTPUT,
            },
            max_errors: MAX_ERRORS,
            max_error_tail: MAX_ERROR_TAIL,
            max_processes: Some(MAX_PROCESSES),
        };
        let output = self.supervisor.run(&job, permits).await;
        let output = output.map_err(|error| run_problem(&error, settings))?;
        match &output.ended {
            Ended::Exited(_) => Ok(output),
            Ended::Killed(signal) => Err(Problem::new(
                Reason::Closed,
                format_args!("{program} was killed by signal {signal}"),
            )),
            Ended::NotStarted(errno) => {
                let error = std::io::Error::from_raw_os_error(*errno);
                let reason = match error.kind() {
                    std::io::ErrorKind::NotFound => Reason::Missing,
                    std::io::ErrorKind::PermissionDenied => Reason::Permission,
                    _ => Reason::State,
                };
                let message = format_args!("running {program}: {error}");
                Err(shortage::process_problem(reason, &error, message))
            }
        }
    }
}

/// The turn of a check, and a slot.
type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Waits for a turn, but not until the deadline of the run.
async fn acquire(
    semaphore: &Arc<Semaphore>,
    deadline: Option<Instant>,
    problem: impl FnOnce() -> Problem,
) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = Arc::clone(semaphore).acquire_owned();
    let permit = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline - REST, permit).await,
        None => Ok(permit.await),
    };
    match permit {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) => Err(Problem::new(Reason::Internal, "the exporter is stopping")),
        Err(_) => Err(problem()),
    }
}

fn run_problem(error: &RunError, settings: &ExecSettings) -> Problem {
    let program = settings.program.display();
    match error {
        RunError::Start(cause) => {
            let message = format_args!("running {program}: starting its supervisor: {cause}");
            shortage::process_problem(Reason::Internal, cause, message)
        }
        RunError::TooMuchOutput(max) => Problem::new(
            Reason::Limit,
            format_args!("{program} wrote more than {} kB, and was killed", max >> 10),
        ),
        RunError::NoReport(_) => Problem::new(Reason::Internal, format_args!("running {program}: {error}")),
    }
}

/// Verifies that the program is a file that only root and the exporter's user can change, within an allowed directory. Returns its
/// path without links, so that a link that others can change has no effect afterwards. Holds the permits while it reads, so that a
/// directory that hangs holds one thread for each check, not for each run.
async fn verify(settings: &ExecSettings, permits: Permits) -> Result<(PathBuf, Permits), Problem> {
    let (program, allowed) = (settings.program.clone(), Arc::clone(&settings.allowed));
    // Reading a file may block, so it has a thread of its own.
    let verified =
        tokio::task::spawn_blocking(move || verify_now(&program, &allowed).map(|file| (file, permits))).await;
    verified.unwrap_or_else(|error| {
        Err(Problem::from_shortage(
            Shortage::Threads,
            format_args!("reading {}: {error}", settings.program.display()),
        ))
    })
}

fn verify_now(program: &Path, allowed: &[PathBuf]) -> Result<PathBuf, Problem> {
    let name = program.display();
    let unreadable = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => Reason::Missing,
            _ => Reason::Permission,
        };
        shortage::problem(reason, &error, format_args!("reading {name}: {error}"))
    };
    let denied = |message: String| Problem::new(Reason::Permission, message);
    let real = resolve_trusted(program).map_err(unreadable)?.map_err(denied)?;
    let mut directories = allowed
        .iter()
        .filter_map(|directory| directory.canonicalize().ok());
    if !directories.any(|directory| real.starts_with(directory)) {
        return Err(denied(match real == program {
            true => format!("{name} is in none of exec.allowed_directories"),
            false => format!(
                "{name} is a link to {}, which is in none of exec.allowed_directories",
                real.display()
            ),
        }));
    }
    let metadata = real.symlink_metadata().map_err(unreadable)?;
    match metadata.is_file() {
        true if metadata.mode() & 0o111 != 0 => Ok(real),
        true => Err(denied(format!("{name} is not executable: run chmod +x {name}"))),
        false => Err(Problem::new(Reason::State, format_args!("{name} is not a file"))),
    }
}

/// The ids of the user, and of the user's group. `None` for the exporter's own user.
async fn find_user(settings: &ExecSettings) -> Result<Option<(u32, u32)>, Problem> {
    let ids = match &settings.user {
        None => return Ok(None),
        Some(User::Name(name)) => user::resolve_with_group(name).await?,
        Some(User::Id(id)) => (*id, user::group_of(*id).await?.unwrap_or(*id)),
    };
    let own = rustix::process::geteuid();
    match own.is_root() {
        true => Ok(Some(ids)),
        false if own.as_raw() == ids.0 => Ok(None),
        false => Err(Problem::new(
            Reason::Permission,
            format_args!(
                "{}: only root can run programs as another user, and the exporter runs as user {}",
                settings.program.display(),
                own.as_raw()
            ),
        )),
    }
}
