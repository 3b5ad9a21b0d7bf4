//! The exporter's side: starts a supervisor, reads the command's output within limits, and receives how it ended.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::runtime::Handle;

use super::report::Ended;

/// The search path of commands.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest report of a supervisor, in bytes.
const MAX_REPORT: u64 = 64;

/// The size of the buffer of a read, in bytes: that of a pipe.
const CHUNK: usize = 64 << 10;

/// How long the pipes are read after the supervisor has ended. It ends last, so the rest of the output is in the pipes. They stay open
/// only if somebody killed the supervisor.
const READ_REST: Duration = Duration::from_secs(5);

/// Starts supervisors.
#[derive(Clone, Debug)]
pub struct Supervisor {
    program: PathBuf,
}

/// A command with its limits.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The file to execute, if it is not the first word of the command.
    pub file: Option<PathBuf>,
    /// The name of the program, and its arguments.
    pub command: Vec<OsString>,
    /// Environment variables, in addition to PATH.
    pub environment: Vec<(String, OsString)>,
    /// The user and group of the command, if not those of this process.
    pub user: Option<(u32, u32)>,
    /// The longest standard output, in bytes. With 0, it is discarded.
    pub max_output: usize,
    /// The longest standard error, in bytes.
    pub max_errors: usize,
    /// The size of the end of the standard error that is kept, in bytes.
    pub max_error_tail: usize,
    /// The largest number of processes and threads of the command's user while the command runs (RLIMIT_NPROC). Root has no such limit.
    pub max_processes: Option<u32>,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// The standard output.
    pub output: Vec<u8>,
    /// The end of the standard error.
    pub error_tail: Vec<u8>,
}

/// Why there is no result.
#[derive(Debug)]
pub enum RunError {
    /// The supervisor could not be started.
    Start(std::io::Error),
    /// The command wrote more than this number of bytes. It was killed.
    TooMuchOutput(usize),
    /// The supervisor ended without a report.
    NoReport(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "starting the supervisor of the command: {error}"),
            Self::TooMuchOutput(max) => {
                write!(f, "the command wrote more than {} kB, and was killed", max >> 10)
            }
            Self::NoReport(error) if error.is_empty() => {
                f.write_str("the supervisor of the command ended early")
            }
            Self::NoReport(error) => write!(f, "the supervisor of the command failed: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

impl Default for Supervisor {
    /// This binary, even if it was replaced since its start.
    fn default() -> Self {
        Self::new("/proc/self/exe".into())
    }
}

impl Supervisor {
    /// Uses another exporter's binary. For tests.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Runs a command. If the future is dropped, everything that the command started is killed. `held` is dropped when all of it has
    /// ended: a process that waits for a broken disk can't be killed at once.
    ///
    /// # Errors
    /// When there is no result. How the command ended is not an error.
    pub async fn run<T: Send + 'static>(&self, job: &Job, held: T) -> Result<Output, RunError> {
        let (mut control, child) = self.start(job).map_err(RunError::Start)?;
        let mut running = Running::new(child, held);
        let (stdout, stderr) = running.pipes();
        let (mut output, mut error_tail, mut report) = (Vec::new(), Vec::new(), Vec::new());
        {
            let read_report = async { (&mut control).take(MAX_REPORT).read_to_end(&mut report).await };
            let read_pipes = async {
                tokio::try_join!(
                    read_at_most(stdout, job.max_output, &mut output),
                    read_tail(stderr, job, &mut error_tail),
                )
            };
            tokio::pin!(read_report, read_pipes);
            tokio::select! {
                read = &mut read_pipes => {
                    read?;
                    let _ = read_report.await;
                }
                _ = &mut read_report => {
                    if let Ok(read) = tokio::time::timeout(READ_REST, read_pipes).await {
                        read?;
                    }
                }
            }
        }
        running.wait().await;
        match Ended::parse(&report) {
            Some(ended) => Ok(Output {
                ended,
                output,
                error_tail,
            }),
            None => Err(RunError::NoReport(
                String::from_utf8_lossy(&error_tail).trim().to_owned(),
            )),
        }
    }

    fn start(&self, job: &Job) -> std::io::Result<(UnixStream, Child)> {
        let (control, theirs) = std::os::unix::net::UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let control = UnixStream::from_std(control)?;
        let mut command = Command::new(&self.program);
        command.arg("supervise");
        if let Some((uid, gid)) = job.user {
            command.arg(format!("--uid={uid}")).arg(format!("--gid={gid}"));
        }
        if let Some(max) = job.max_processes {
            command.arg(format!("--max-processes={max}"));
        }
        if let Some(file) = &job.file {
            command.arg("--file").arg(file);
        }
        command
            .arg("--")
            .args(&job.command)
            .env_clear()
            .env("PATH", PATH)
            .envs(job.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(match job.max_output {
                0 => Stdio::null(),
                _ => Stdio::piped(),
            })
            .stderr(Stdio::piped());
        Ok((control, command.spawn()?))
    }
}

/// A supervisor that runs.
struct Running<T: Send + 'static> {
    child: Option<Child>,
    held: Option<T>,
}

impl<T: Send + 'static> Running<T> {
    fn new(child: Child, held: T) -> Self {
        Self {
            child: Some(child),
            held: Some(held),
        }
    }

    fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        let child = self.child.as_mut();
        child
            .map(|child| (child.stdout.take(), child.stderr.take()))
            .unwrap_or_default()
    }

    /// Waits until it has ended, so that it does not stay as a zombie.
    async fn wait(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
        }
        self.child = None;
    }
}

impl<T: Send + 'static> Drop for Running<T> {
    /// Keeps what it holds until the supervisor has killed everything.
    fn drop(&mut self) {
        let (child, held) = (self.child.take(), self.held.take());
        if let (Some(mut child), Ok(runtime)) = (child, Handle::try_current()) {
            runtime.spawn(async move {
                let _ = child.wait().await;
                drop(held);
            });
        }
    }
}

/// Reads everything into `output`.
///
/// # Errors
/// When it is longer than `max`.
async fn read_at_most(
    stream: Option<impl AsyncRead + Unpin>,
    max: usize,
    output: &mut Vec<u8>,
) -> Result<(), RunError> {
    let Some(stream) = stream else {
        return Ok(());
    };
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    // An error ends the output.
    let _ = stream.take(limit).read_to_end(output).await;
    match output.len() > max {
        true => Err(RunError::TooMuchOutput(max)),
        false => Ok(()),
    }
}

/// Reads everything, and keeps the end of it in `tail`.
///
/// # Errors
/// When it is longer than the job allows.
async fn read_tail(
    stream: Option<impl AsyncRead + Unpin>,
    job: &Job,
    tail: &mut Vec<u8>,
) -> Result<(), RunError> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    let mut total = 0;
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        total += count;
        if total > job.max_errors {
            return Err(RunError::TooMuchOutput(job.max_errors));
        }
        tail.extend_from_slice(&buffer[..count]);
        let surplus = tail.len().saturating_sub(job.max_error_tail);
        tail.drain(..surplus);
    }
    Ok(())
}
