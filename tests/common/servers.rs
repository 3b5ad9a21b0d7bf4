//! Real servers that tests start on free ports, with their data in a temporary directory.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A running server. Dropping it kills the process by its id.
pub struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with its output in `dir`.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("starting {name} ({command:?}): {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
        }
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. After SIGSTOP, it waits until all threads are stopped.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("signalling {}: {error}", self.name));
        let begun = Instant::now();
        while signal == rustix::process::Signal::STOP && !self.is_stopped() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{} does not stop",
                self.name
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_stopped(&self) -> bool {
        let process = procfs::process::Process::new(self.child.id().cast_signed());
        let tasks = process.and_then(|process| process.tasks());
        let mut tasks = tasks
            .unwrap_or_else(|error| panic!("the threads of {}: {error}", self.name))
            .flatten();
        // A thread may end meanwhile.
        tasks.all(|task| task.stat().is_ok_and(|stat| stat.state == 'T'))
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        // If it has ended already, both calls do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Terminates it and returns how long that took. Panics if it takes longer than `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Duration {
        let begun = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(
                    status.success(),
                    "{} ended with {status}:\n{}",
                    self.name,
                    self.log()
                );
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < limit,
                "{} still runs after {limit:?}:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = &log[log.len().saturating_sub(4000)..];
            eprintln!("--- the end of {}'s output:\n{tail}", self.name);
        }
    }
}

/// The path of a tool. Panics with an installation hint if it is missing.
pub fn tool(name: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':')
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not installed: run `apt-get install {package}` as root, or tests/setup.sh")
        })
}

/// The ports that tests give to servers. The kernel gives none of these to clients (`net.ipv4.ip_local_port_range` starts at 32768),
/// so nobody takes the port of a server that is down for a while.
const PORTS: Range<u16> = 10_240..32_768;

/// A TCP port of the loopback address on which nothing listens. No port is returned twice. Every process starts at another one,
/// because test programs run side by side.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(RandomState::new().hash_one(process::id()) as usize % PORTS.len()));
    (0..PORTS.len())
        .map(|_| PORTS.start + (NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len()) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// Polls `ready` every 20 ms until it returns something, for at most `limit`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready().await {
            return value;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The body of a successful GET, or `None`.
pub async fn get(url: &str) -> Option<String> {
    // Without this, each call would read the certificates of the system.
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    client
        .get(url)
        .send()
        .await
        .ok()?
        .error_for_status()
        .ok()?
        .text()
        .await
        .ok()
}

/// A process and all its descendants.
pub fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        // Each thread lists its own children (proc_pid_task(5)).
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    found
}
