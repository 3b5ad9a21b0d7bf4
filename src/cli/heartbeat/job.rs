//! The process of a job.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::beat::{ExitStatus, SIGNAL_BASE};
use super::copy::{JobPipes, OutputCopies};
use super::flags::{OutputMode, RunFlags};
use super::signals::{Signals, is_from_terminal, is_stop};
use crate::cli::exit::print_error;

/// The exit statuses of shells for a command that does not exist, and for one that can't be executed (POSIX, XCU 2.8.2).
const NOT_FOUND: ExitStatus = ExitStatus(127);
const NOT_EXECUTABLE: ExitStatus = ExitStatus(126);

/// Executes scripts that do not name an interpreter, as execvp(3) and shells do.
const SHELL: &str = "/bin/sh";

/// Searches PATH for the script, which `sh SCRIPT` would search in the working directory.
const SHELL_ARGUMENTS: [&str; 2] = ["-c", "exec \"$0\" \"$@\""];

/// A running job.
pub struct Job {
    child: Child,
    copies: Option<OutputCopies>,
}

/// The end of a job.
pub struct JobEnd {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether a signal requested its end.
    pub was_stopped: bool,
}

/// A job can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The command does not exist.
    #[error("can't start {command}: {cause}; is it installed, and in PATH?")]
    NotFound {
        /// The command without its arguments, which may be secret.
        command: String,
        /// The error of the system.
        cause: io::Error,
    },
    /// The command can't be executed.
    #[error("can't start {command}: {cause}; is it an executable file?")]
    NotExecutable {
        /// The command.
        command: String,
        /// The error of the system.
        cause: io::Error,
    },
    /// The system lacks something.
    #[error("can't start {command}: {cause}")]
    System {
        /// The command.
        command: String,
        /// The error of the system.
        cause: io::Error,
    },
}

impl StartError {
    fn new(command: &OsStr, cause: io::Error) -> Self {
        let command = command.to_string_lossy().into_owned();
        match cause.kind() {
            ErrorKind::NotFound => Self::NotFound { command, cause },
            ErrorKind::PermissionDenied => Self::NotExecutable { command, cause },
            _ => Self::System { command, cause },
        }
    }

    /// The exit status of a shell that can't start the command.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::NotFound { .. } => NOT_FOUND,
            Self::NotExecutable { .. } | Self::System { .. } => NOT_EXECUTABLE,
        }
    }
}

impl Job {
    /// Starts the job. It gets the environment of this command, except the token.
    ///
    /// # Errors
    /// When it can't be executed.
    pub fn start(flags: &RunFlags) -> Result<Self, StartError> {
        let program = &flags.command[0];
        let failed = |cause| StartError::new(program, cause);
        // Before the job starts: it must not lose its output later. Without copies, it runs nevertheless.
        let (pipes, copies) = match flags.output {
            OutputMode::None => None,
            OutputMode::Tail => OutputCopies::start()
                .inspect_err(|error| {
                    print_error(&format_args!(
                        "upkeep_exporter: can't copy the output of the job: {error}; the job runs without"
                    ));
                })
                .ok(),
        }
        .unzip();
        let token_env = flags.exporter.token_env.as_deref();
        let mut child = spawn(program, &flags.command[1..], token_env, pipes.as_ref());
        if let Err(error) = &child
            && error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
        {
            let arguments = SHELL_ARGUMENTS.map(OsString::from);
            let arguments = [&arguments[..], &flags.command[..]].concat();
            child = spawn(SHELL.as_ref(), &arguments, token_env, pipes.as_ref());
        }
        let child = child.map_err(failed)?;
        // From here on, only the job has the other ends of the pipes.
        drop(pipes);
        Ok(Self { child, copies })
    }

    /// Waits for the end of the job, and passes signals on to it.
    ///
    /// # Errors
    /// When the exit status can't be read.
    pub async fn wait(&mut self, signals: &mut Signals) -> io::Result<JobEnd> {
        let mut was_stopped = false;
        loop {
            tokio::select! {
                biased;
                status = self.child.wait() => {
                    return Ok(JobEnd { status: exit_status(status?), was_stopped });
                }
                signal = signals.next() => {
                    was_stopped |= is_stop(signal);
                    if !is_from_terminal(signal) {
                        self.signal(signal);
                    }
                }
            }
        }
    }

    /// The copies of its output.
    pub fn copies(&self) -> Option<&OutputCopies> {
        self.copies.as_ref()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // The process may have changed its user, such as `sudo`. Then only root can signal it.
            let _ = kill_process(pid, signal);
        }
    }
}

fn spawn(
    program: &OsStr,
    arguments: &[OsString],
    token_env: Option<&str>,
    pipes: Option<&JobPipes>,
) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(name) = token_env {
        command.env_remove(name);
    }
    if let Some(pipes) = pipes {
        let [out, errors] = pipes;
        command
            .stdout(Stdio::from(out.try_clone()?))
            .stderr(Stdio::from(errors.try_clone()?));
    }
    command.spawn()
}

/// The exit status as a shell reports it.
fn exit_status(status: process::ExitStatus) -> ExitStatus {
    let signal = || status.signal().map(|signal| i32::from(SIGNAL_BASE) + signal);
    let code = status.code().or_else(signal).unwrap_or_default();
    ExitStatus(u8::try_from(code).unwrap_or(u8::MAX))
}
