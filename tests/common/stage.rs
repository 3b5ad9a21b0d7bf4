//! A stage: the program runs the test again in private network, mount, IPC and process namespaces. There it may block ports and fill
//! the disk of its temporary files, and all its processes end with it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The folder of the stage's disk. Set only on the stage.
const ON_STAGE: &str = "UPKEEP_TEST_ON_STAGE";

static TURN: Mutex<()> = Mutex::new(());

/// The size of the stage's disk in memory.
const DISK: &str = "size=1g,mode=1777";

/// Whether this process is on the stage. If not, runs the test `name` there, which must pass.
pub fn is_on_stage(name: &str) -> bool {
    if let Ok(disk) = std::env::var(ON_STAGE) {
        run("ip", &["link", "set", "lo", "up"]);
        run("mount", &["-t", "tmpfs", "-o", DISK, "tmpfs", &disk]);
        return true;
    }
    // One test at a time, because tests on a stage measure time. A failed test does not block the next one.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--propagation=private",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ON_STAGE, disk.path())
        .env("TMPDIR", disk.path())
        .output()
        .unwrap_or_else(|error| panic!("starting unshare: {error}; install util-linux"));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in namespaces of its own (this needs root):\n{text}{errors}"
    );
    // The output of the test, without the lines of the test runner.
    for line in errors.lines() {
        eprintln!("{line}");
    }
    false
}

/// Blocks packets to these TCP ports until it is dropped.
pub struct Blocked;

impl Blocked {
    /// Blocks the ports.
    pub fn ports(ports: &[u16]) -> Self {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        run("nft", &["add", "table", "inet", "blocked"]);
        let hook = "{ type filter hook input priority 0; }";
        run("nft", &["add", "chain", "inet", "blocked", "input", hook]);
        let set = format!("{{ {} }}", ports.join(", "));
        for direction in ["dport", "sport"] {
            run(
                "nft",
                &[
                    "add", "rule", "inet", "blocked", "input", "tcp", direction, &set, "drop",
                ],
            );
        }
        Self
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        run("nft", &["delete", "table", "inet", "blocked"]);
    }
}

/// Fills the rest of the disk until it is dropped.
pub struct FullDisk(PathBuf);

impl FullDisk {
    /// Fills the disk of the temporary files.
    pub fn fill() -> Self {
        let path = std::env::temp_dir().join("filling");
        let mut file = File::create(&path).unwrap();
        let piece = vec![1; 1 << 20];
        let error = loop {
            if let Err(error) = file.write_all(&piece) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        Self(path)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // The mount is removed with the stage.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs a command that must succeed.
pub fn run(program: &str, arguments: &[&str]) {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/setup.sh installs what is needed"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
