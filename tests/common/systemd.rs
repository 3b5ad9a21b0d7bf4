//! A real systemd as PID 1 in private namespaces, on a copy-on-write view of this machine's root. It needs root and the packages
//! systemd, dbus and util-linux, boots in about 1.5 s, and leaves nothing behind.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time limit for the boot and for each command, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A booted machine. It stops when it is dropped, and when the test's process ends in any way, because its standard input then ends.
pub struct Machine {
    directory: PathBuf,
    pid: u32,
    keeper: Child,
}

impl Machine {
    /// Boots a new machine. It has cgroup v2 without controllers.
    pub fn boot() -> Self {
        Self::boot_with(&[])
    }

    /// Boots a new machine with the controllers of cgroups, in the version of cgroups that this machine uses.
    pub fn boot_with_controllers() -> Self {
        Self::boot_with(&["controllers"])
    }

    fn boot_with(options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/systemd.sh");
        let directory = tempfile::Builder::new()
            .prefix("upkeep-machine-")
            .tempdir()
            .expect("a temporary directory for the machine")
            .keep();
        let log = directory.join("log");
        let keeper = Command::new("sh")
            .arg(script)
            .arg(&directory)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("the machine's log"))
            // Ctrl-C must not stop the keeper before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut machine = Self {
            directory,
            pid: 0,
            keeper,
        };
        machine.wait_for_boot(&log);
        machine
    }

    /// The machine that the tests of this process share. It stops with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Machine> = OnceLock::new();
        SHARED.get_or_init(Self::boot)
    }

    /// The machine with controllers that the tests of this process share.
    pub fn shared_with_controllers() -> &'static Self {
        static SHARED: OnceLock<Machine> = OnceLock::new();
        SHARED.get_or_init(Self::boot_with_controllers)
    }

    fn wait_for_boot(&mut self, log: &Path) {
        let began = Instant::now();
        loop {
            if let Ok(pid) = fs::read_to_string(self.directory.join("pid")) {
                self.pid = pid.trim().parse().expect("a PID");
                let state = self.try_run("systemctl is-system-running");
                if matches!(
                    String::from_utf8_lossy(&state.stdout).trim(),
                    "running" | "degraded"
                ) {
                    return;
                }
            }
            let is_over = !matches!(self.keeper.try_wait(), Ok(None));
            assert!(
                !is_over && began.elapsed() < PATIENCE,
                "no systemd could be booted: {}\nIt needs root (CAP_SYS_ADMIN), and `apt-get install systemd dbus util-linux`",
                fs::read_to_string(log).unwrap_or_default()
            );
            sleep(Duration::from_millis(50));
        }
    }

    /// The process id of its systemd on this machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The address of the machine's system bus.
    pub fn bus_address(&self) -> String {
        format!("unix:path={}", self.bus_socket().display())
    }

    /// The socket of the machine's system bus.
    pub fn bus_socket(&self) -> PathBuf {
        self.directory.join("bus/system_bus_socket")
    }

    /// A directory that is `/run/shared` in the machine.
    pub fn shared_directory(&self) -> PathBuf {
        self.directory.join("shared")
    }

    /// A path in the machine, as seen by this process.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// Runs a shell command in the machine and returns its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, command: &str) -> String {
        let output = self.try_run(command);
        assert!(
            output.status.success(),
            "{command}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a shell command in the machine.
    pub fn try_run(&self, command: &str) -> Output {
        Command::new("nsenter")
            .args([
                "--target",
                &self.pid.to_string(),
                "--mount",
                "--uts",
                "--ipc",
                "--net",
                "--pid",
            ])
            .args([
                "--cgroup",
                "--",
                "timeout",
                &PATIENCE.as_secs().to_string(),
                "sh",
                "-c",
                command,
            ])
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs (apt-get install util-linux)")
    }

    /// Lets mounts of systemd reach its units, as on a real machine. Credentials of units (`LoadCredential=`) need that.
    pub fn share_mounts(&self) {
        self.run("mount --make-rshared /");
    }

    /// Writes a unit file. systemd reads it when the unit is first used, or after `systemctl daemon-reload`.
    pub fn write_unit(&self, name: &str, text: &str) {
        let path = self.path("/etc/systemd/system").join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let began = Instant::now();
        while matches!(self.keeper.try_wait(), Ok(None)) && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
        // Only if the keeper hangs. The parent-death signal kills the machine too.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
