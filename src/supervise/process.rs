//! The supervisor: starts the command, and kills everything that it started.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use clap::Args;
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, WaitOptions, WaitStatus, getpid, getrlimit, set_child_subreaper, setrlimit,
    setsid, wait,
};

use super::descendants;
use super::report::Ended;

/// The flags of the hidden command `supervise`. Its standard input is the control socket.
#[derive(Debug, Args)]
pub struct SuperviseFlags {
    /// The user of the command, as a number
    #[arg(long)]
    pub uid: Option<u32>,

    /// The group of the command, as a number
    #[arg(long)]
    pub gid: Option<u32>,

    /// The file to execute, if it is not the first word of the command
    #[arg(long)]
    pub file: Option<PathBuf>,

    /// The largest number of processes and threads of the command's user
    #[arg(long)]
    pub max_processes: Option<u32>,

    /// The command
    #[arg(required = true, last = true)]
    pub command: Vec<OsString>,
}

/// Runs a command until it ends or the control socket is closed. Kills everything that it started, and reports how it ended over the
/// control socket.
///
/// # Errors
/// When it can't prepare itself. It has started nothing then.
pub fn supervise(flags: &SuperviseFlags) -> io::Result<ExitCode> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Signals of the terminal then do not reach this process. Fails for the leader of a process group, which it is not.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    let mut command = command(flags)?;
    // Starting the command and noticing the end of the exporter exclude each other: a command that starts later would not be killed.
    let closed = Arc::new(Mutex::new(false));
    if let Err(error) = watch(control.try_clone()?, Arc::clone(&closed)) {
        // Usually EAGAIN: a shortage of the machine, which the exporter must recognize.
        let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
        let _ = (&control).write_all(Ended::NotStarted(errno).line().as_bytes());
        return Ok(ExitCode::FAILURE);
    }
    let ended = {
        let is_closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_closed {
            return Ok(ExitCode::SUCCESS);
        }
        // After the thread was created, which counts.
        limit_resources(flags)?;
        let started = command.spawn();
        drop(is_closed);
        match started {
            Err(error) => Ended::NotStarted(error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())),
            Ok(child) => status_of(child.id()),
        }
    };
    descendants::kill_all();
    // Fails if the exporter is gone.
    let _ = (&control).write_all(ended.line().as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn command(flags: &SuperviseFlags) -> io::Result<Command> {
    let Some((name, arguments)) = flags.command.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut command = match &flags.file {
        Some(file) => Command::new(file),
        None => Command::new(name),
    };
    command
        .arg0(name)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0);
    // As root, std also removes the supplementary groups.
    if let Some(gid) = flags.gid {
        command.gid(gid);
    }
    if let Some(uid) = flags.uid {
        command.uid(uid);
    }
    Ok(command)
}

/// Limits what the command can use. It inherits the limits of this process.
fn limit_resources(flags: &SuperviseFlags) -> io::Result<()> {
    let lower = |resource, max: u64| {
        let current = getrlimit(resource);
        let max = current.maximum.map_or(max, |current| current.min(max));
        let limit = Rlimit {
            current: Some(max),
            maximum: Some(max),
        };
        setrlimit(resource, limit)
    };
    // A core dump may contain secrets, and nobody would remove it.
    lower(Resource::Core, 0)?;
    if let Some(max) = flags.max_processes {
        lower(Resource::Nproc, max.into())?;
    }
    Ok(())
}

/// Kills everything when the exporter closes the control socket.
fn watch(mut control: UnixStream, closed: Arc<Mutex<bool>>) -> io::Result<()> {
    thread::Builder::new().spawn(move || {
        wait_for_end(&mut control);
        *closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        descendants::kill_all();
    })?;
    Ok(())
}

/// Waits until the exporter closes the control socket. It never writes to it.
fn wait_for_end(control: &mut UnixStream) {
    let mut buffer = [0; 64];
    loop {
        match control.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Waits for the end of the command. Other processes that became children of this one are removed when they end.
fn status_of(command: u32) -> Ended {
    let command = i32::try_from(command).ok().and_then(Pid::from_raw);
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == command => return ended(status),
            Ok(_) | Err(Errno::INTR) => {}
            // The other thread removed it after it killed it.
            Err(_) => return Ended::Killed(rustix::process::Signal::KILL.as_raw()),
        }
    }
}

fn ended(status: WaitStatus) -> Ended {
    let status = std::process::ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Killed(signal.unwrap_or_default()),
    }
}
