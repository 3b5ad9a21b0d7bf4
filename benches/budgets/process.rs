//! Programs that a row starts: ended by their id when dropped, and by the kernel when the benchmark itself is killed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::time::ClockId;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// What a thread used so far.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// CPU time in seconds.
    pub cpu: f64,
    /// The bytes that it passed to write(2) and similar calls.
    pub written: u64,
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its output in a file of `directory`.
    pub fn start(name: &str, command: &Command, directory: &Path) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = bound_to_us(command)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name} with setpriv (apt-get install util-linux)"))?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log,
        })
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Sends SIGHUP, which makes the exporter reload its configuration.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::HUP).context("sending SIGHUP")
    }

    /// CPU time used so far by all its threads, ended ones included, in seconds. Exact, unlike the ticks of 10 ms in `/proc/PID/stat`:
    /// a scrape of 1,000 checks takes less than one.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(self.pid()))?;
        Ok(Duration::from(clock.now()?).as_secs_f64())
    }

    /// What its thread of this name used so far (`/proc/PID/task/TID/stat` and `io`).
    pub fn thread(&self, name: &str) -> anyhow::Result<Thread> {
        for task in procfs::process::Process::new(self.pid())?.tasks()? {
            let task = task?;
            let stat = task.stat()?;
            if stat.comm == name {
                return Ok(Thread {
                    cpu: seconds(stat.utime + stat.stime),
                    written: task.io()?.wchar,
                });
            }
        }
        bail!("{} has no thread {name}", self.name)
    }

    /// Resident memory now and at its highest so far, in MB.
    pub fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let status = procfs::process::Process::new(self.pid())?.status()?;
        let megabytes =
            |kibibytes: Option<u64>| kibibytes.map_or(f64::NAN, |number| number as f64 * 1024.0 / 1e6);
        Ok((megabytes(status.vmrss), megabytes(status.vmhwm)))
    }

    /// Waits until `address` takes connections.
    pub fn wait_for(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.wait_until("takes connections", Duration::from_secs(20), || {
            TcpStream::connect(address).is_ok()
        })
    }

    /// Asks `ready` each millisecond until it holds; fails when the program ends or `limit` passes before.
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}\n{}", self.name, self.log());
            }
            ensure!(
                begun.elapsed() < limit,
                "{}: not within {limit:?}: {what}\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The end of what it wrote so far.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command, started so that it dies with this process. `setpriv` executes it, so it keeps the process id.
pub fn bound_to_us(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    bound
}

/// CPU time of all children that ended and were waited for, in seconds.
pub fn cpu_of_ended_children() -> anyhow::Result<f64> {
    let stat = procfs::process::Process::myself()?.stat()?;
    Ok(seconds(u64::try_from(stat.cutime + stat.cstime)?))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// A loopback address that nobody listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Raises the limit of open files as far as it goes; what is started inherits it.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it can't be raised, the rows that need many files say so by failing.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
