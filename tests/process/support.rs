//! Checks from JSON, their samples by name, processes that end with the test, and fake /proc directories.

use std::cell::RefCell;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::process::ProcessCheck;
use upkeep_exporter::config::place::Place;
use upkeep_exporter::config::process::ProcessOptions;
use upkeep_exporter::model::{Problem, Report};

/// How long a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process check with these options.
pub fn check(options: serde_json::Value, context: &CheckContext) -> ProcessCheck {
    let findings = RefCell::new(Vec::new());
    let options: ProcessOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    ProcessCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), context)
}

/// The machine's /proc.
pub fn real() -> CheckContext {
    CheckContext::new("/proc".into())
}

/// The result of one run.
#[derive(Debug)]
pub struct Ran {
    pub result: Result<(), Problem>,
    pub report: Report,
}

impl Ran {
    /// The value of the family `upkeep_{name}`, if there is one.
    pub fn value(&self, name: &str) -> Option<f64> {
        let mut values = self.report.samples.iter().filter(|sample| {
            assert!(sample.labels.is_empty());
            sample.family.name.strip_prefix("upkeep_") == Some(name)
        });
        let value = values.next().map(|sample| sample.value);
        assert!(values.next().is_none(), "{name} twice");
        value
    }

    /// How many processes match.
    pub fn count(&self) -> Option<f64> {
        self.value("processes")
    }

    /// The reason and the message of a failure.
    pub fn failure(&self) -> (&'static str, &str) {
        let problem = self.result.as_ref().expect_err("the run should fail");
        (problem.reason.as_str(), problem.message())
    }
}

/// Runs a check once.
pub async fn run(check: &mut ProcessCheck) -> Ran {
    let mut report = Report::default();
    let result = check.run(&mut report).await;
    Ran { result, report }
}

/// Runs a new check once.
pub async fn run_once(options: serde_json::Value, context: &CheckContext) -> Ran {
    run(&mut check(options, context)).await
}

/// Runs a new check until the result meets `condition`. Panics if it does not in time.
pub async fn run_until(
    options: serde_json::Value,
    context: &CheckContext,
    condition: impl Fn(&Ran) -> bool,
) -> Ran {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ran = run_once(options.clone(), context).await;
        if condition(&ran) {
            return ran;
        }
        assert!(Instant::now() < deadline, "still {ran:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a condition is true.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns a word that no other process on the machine contains, short enough for a process name.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "uk{}x{}x",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Copies a program with cp(1), so that it can be started at once. If this process copied it, other tests could fork while
/// the file is open for writing; starting it would then fail with "text file busy".
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A process that is killed and reaped when it is dropped.
pub struct Running(pub Child);

impl Running {
    /// Starts a command and discards its output.
    pub fn start(command: &mut Command) -> Self {
        let mut running = Self::start_with_output(command);
        running.0.stdout = None;
        running
    }

    /// Starts a command with piped output.
    pub fn start_with_output(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let program = command.get_program().to_owned();
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!(
                "starting {program:?}: {error}; install it (Debian: coreutils, bash, python3, util-linux)"
            ),
        }
    }

    /// Starts a process that sleeps, with `name` as its first argument.
    pub fn sleeping(name: impl AsRef<std::ffi::OsStr>) -> Self {
        Self::start(Command::new("sleep").arg("1000").arg0(name))
    }

    /// Starts a Python program with `word` as an argument.
    pub fn python(word: &str, program: &str) -> Self {
        Self::start(Command::new("python3").args(["-c", program, word]))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fake /proc directory.
pub struct FakeProc {
    directory: tempfile::TempDir,
}

/// When the fake machine started.
pub const BOOT_TIME: u64 = 1_700_000_000;

impl FakeProc {
    /// Creates one that contains only process 1.
    pub fn new() -> Self {
        let fake = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let stat = format!(
            "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5 0\nctxt 1\nbtime {BOOT_TIME}\nprocesses 9\n\
             procs_running 1\nprocs_blocked 0\n"
        );
        fs::write(fake.root().join("stat"), stat).unwrap();
        fake.process(1, "init", "/sbin/init\0");
        fake
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn context(&self) -> CheckContext {
        CheckContext::new(self.root().to_path_buf())
    }

    /// Adds a sleeping process with 3 descriptors, 2 threads and 10 pages, and returns its directory.
    pub fn process(&self, id: u32, name: impl AsRef<[u8]>, command_line: impl AsRef<[u8]>) -> PathBuf {
        let directory = self.root().join(id.to_string());
        fs::create_dir_all(directory.join("fd")).unwrap();
        for descriptor in 0..3 {
            fs::write(directory.join("fd").join(descriptor.to_string()), "").unwrap();
        }
        fs::write(directory.join("cmdline"), command_line).unwrap();
        fs::write(
            directory.join("limits"),
            "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024      4096      files\n",
        )
        .unwrap();
        fs::write(directory.join("stat"), stat(id, name, 'S', 0, 100)).unwrap();
        directory
    }
}

/// The content of a stat file: 2 threads, 10 pages, 300 ticks of CPU.
pub fn stat(id: u32, name: impl AsRef<[u8]>, state: char, flags: u32, start: u64) -> Vec<u8> {
    let mut text = format!("{id} (").into_bytes();
    text.extend_from_slice(name.as_ref());
    text.extend_from_slice(
        format!(") {state} 1 1 1 0 -1 {flags} 0 0 0 0 200 100 0 0 20 0 2 0 {start} 0 10 0 0\n").as_bytes(),
    );
    text
}
