//! Tests the state file with killed writers, incomplete and foreign content, full disks, and directories that are missing or can't
//! be written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "state/changes.rs"]
mod changes;
mod common;
#[path = "state/history.rs"]
mod history;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::{each, service, tcp};
use upkeep_exporter::config::Config;
use upkeep_exporter::model::{Clock, Conclusion, Moment, Outcome, Problem, Reason, Status, SystemClock};
use upkeep_exporter::store::{CheckHandle, Snapshot, Store};
use upkeep_exporter::verdict::Run;

/// The environment variable with the directory for a test that runs itself in a child process.
const CHILD_DIR: &str = "UPKEEP_TEST_STATE_DIR";

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD_DIR).map(PathBuf::from)
}

/// The command that runs the test `name` in a child process with the state directory `dir`.
fn child(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir);
    command
}

/// A store with a state directory and the configuration of the tests.
struct Opened {
    clock: Arc<SystemClock>,
    store: Arc<Store>,
    warnings: Vec<String>,
}

fn two_services() -> Config {
    Config {
        services: vec![
            service("api", vec![tcp("http"), tcp("tcp")]),
            service("db", vec![tcp("tcp")]),
        ],
        ..Config::default()
    }
}

/// Opens a store as soon as the directory is unlocked. A child process that another test starts holds the lock file open until its
/// exec.
fn open(clock: &Arc<dyn Clock>, dir: &Path) -> (Arc<Store>, Vec<String>) {
    let mut opened = None;
    wait_until("the directory is unlocked", || {
        opened = Store::open(clock.clone(), Some(dir.to_owned())).ok();
        opened.is_some()
    });
    opened.unwrap()
}

impl Opened {
    fn new(dir: &Path) -> Self {
        Self::with(dir, &two_services())
    }

    fn with(dir: &Path, config: &Config) -> Self {
        let clock = Arc::new(SystemClock::new());
        let (store, warnings) = open(&(clock.clone() as _), dir);
        store.apply(config);
        Self {
            clock,
            store,
            warnings,
        }
    }

    fn handle(&self, id: &str) -> CheckHandle {
        let handles = self.store.handles();
        handles
            .iter()
            .find(|(found, ..)| found.to_string() == id)
            .unwrap()
            .1
    }

    fn run(&self, id: &str, ok: bool) {
        let now = self.clock.now();
        let run = Run {
            started: now - Duration::from_millis(1),
            ended: now,
        };
        let problem = || Problem::new(Reason::Refused, "connecting to 127.0.0.1:1: refused");
        let outcome = Outcome {
            conclusion: if ok {
                Conclusion::Success
            } else {
                Conclusion::Failure(problem())
            },
            duration: Duration::from_millis(1),
            response_time: None,
            ..Outcome::default()
        };
        self.store.record(self.handle(id), run, outcome, 0);
    }

    /// All since-times of the conditions, bit for bit.
    fn conditions(&self) -> Vec<Option<[u64; 3]>> {
        since_times(&self.store.snapshot())
    }

    fn state_saved(&self) -> Option<bool> {
        self.store.snapshot().exporter.state_saved
    }
}

fn since_times(snapshot: &Snapshot) -> Vec<Option<[u64; 3]>> {
    let views = snapshot.services.iter();
    views
        .map(|view| view.conditions.map(|since| since.map(f64::to_bits)))
        .collect()
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 10 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The child process: fails and recovers as fast as possible, and prints the state before and after each write.
fn write_until_killed(dir: &Path) {
    let opened = Opened::new(dir);
    assert_eq!(opened.warnings, [""; 0]);
    let mut out = std::io::stdout().lock();
    let mut print = |word: &str, opened: &Opened| {
        writeln!(out, "\n{word} {:?}", opened.conditions()).unwrap();
        out.flush().unwrap();
    };
    print("found", &opened);
    for id in ["api/http", "api/tcp", "db/tcp"] {
        opened.run(id, true);
    }
    for number in 0_u64.. {
        // The failure moves from check to check, and ends at times.
        opened.run("api/http", number % 7 < 3);
        opened.run("api/tcp", number % 5 != 2);
        opened.run("db/tcp", number % 3 != 0);
        print("begin", &opened);
        opened.store.flush();
        print("done", &opened);
    }
}

/// If the process is killed at any time, the file has the state of the last complete write or of the current one.
#[test]
fn since_times_survive_a_kill_at_any_time() {
    const NAME: &str = "since_times_survive_a_kill_at_any_time";
    if let Some(dir) = child_dir() {
        return write_until_killed(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut allowed: Vec<String> = vec![format!("{:?}", [None::<[u64; 3]>, None])];
    let mut writes = 0_u64;
    let mut mid_write = 0;
    // The maximum lifetime of a child in microseconds. It grows if the disk is slow, so that some writes complete.
    let mut longest = 13_000;
    for round in 0..300_u64 {
        if round % 30 == 29 && writes < round {
            longest = (longest * 2).min(200_000);
        }
        let mut child: Child = child(NAME, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let found = lines
            .find_map(|line| line.strip_prefix("found ").map(str::to_owned))
            .unwrap();
        assert!(
            allowed.contains(&found),
            "round {round}: found {found}, expected one of {allowed:?}"
        );
        // In mixed order.
        std::thread::sleep(Duration::from_micros(round * 7919 % longest));
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut done, mut begun) = (found, None);
        for line in lines {
            // The last line may be incomplete. Then the file has the state of it or of the line before.
            if let Some(text) = line.strip_prefix("begin ").filter(|text| text.ends_with(']')) {
                begun = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("done ").filter(|text| text.ends_with(']')) {
                done = text.to_owned();
                begun = None;
                writes += 1;
            }
        }
        mid_write += u32::from(begun.is_some());
        allowed = std::iter::once(done).chain(begun).collect();
        let names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            !names.iter().any(|name| name.to_string_lossy().contains("broken")),
            "{names:?}"
        );
    }
    assert!(
        writes > 100 && mid_write > 20,
        "{writes} writes, {mid_write} of 300 killed while writing"
    );
}

/// A directory with the state of two services, one of them down, and their since-times.
fn prepared() -> (tempfile::TempDir, Vec<Option<[u64; 3]>>) {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::new(dir.path());
    opened.run("api/http", false);
    opened.run("api/tcp", true);
    opened.run("db/tcp", true);
    let conditions = opened.conditions();
    assert_eq!(opened.state_saved(), Some(true));
    drop(opened);
    (dir, conditions)
}

fn state_file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// The files of the state, also while they are written.
const FILES: [&str; 5] = [
    "state.json.tmp",
    "state.json",
    "state.log.tmp",
    "state.log",
    "state.lock",
];

#[test]
fn a_file_cut_at_any_byte_is_moved_aside() {
    let (dir, conditions) = prepared();
    let path = state_file(dir.path());
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.last(), Some(&b'\n'));
    for length in 0..whole.len() - 1 {
        fs::write(&path, &whole[..length]).unwrap();
        // Without a configuration nothing is written, so this is fast.
        let (_, warnings) = open(&(Arc::new(SystemClock::new()) as _), dir.path());
        let [warning] = warnings.as_slice() else {
            panic!("{length} bytes: {warnings:?}");
        };
        assert!(
            warning.contains("it is incomplete") && warning.contains("state.json.broken-"),
            "{warning}"
        );
        assert!(warning.contains("start again"), "{warning}");
    }
    let opened = Opened::new(dir.path());
    assert_eq!(opened.conditions(), [None, None]);
    drop(opened);
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(
        Opened::new(dir.path()).conditions(),
        conditions,
        "only the line break is missing"
    );
    let broken = fs::read_dir(dir.path()).unwrap().flatten();
    let broken = broken.filter(|entry| entry.file_name().to_string_lossy().contains("broken"));
    assert_eq!(broken.count(), 5, "a limited number is kept");
}

#[test]
fn foreign_content_is_moved_aside() {
    let (dir, _) = prepared();
    let path = state_file(dir.path());
    let ours = fs::read_to_string(&path).unwrap();
    let cases = [
        (
            ours.replace("\"version\":3,", "\"version\":4,"),
            "version 4 of the format; supported: 1 to 3",
        ),
        (
            ours.replace("upkeep_exporter state", "something else"),
            "not a state file of upkeep_exporter",
        ),
        (
            "{\"services\": {}}".to_owned(),
            "not a state file of upkeep_exporter",
        ),
        ("[1, 2, 3]".to_owned(), "it is incomplete or not a state file"),
        ("\0".repeat(4096), "it is incomplete or not a state file"),
        (
            ours.replace("\"down\"", "\"upside down\""),
            "the unknown value \"upside down\"",
        ),
        (
            ours.replace("\"refused\"", "\"refusal\""),
            "the unknown value \"refusal\"",
        ),
        ("[".repeat(100_000), "it is incomplete or not a state file"),
    ];
    for (content, reason) in cases {
        assert_ne!(content, ours);
        fs::write(&path, &content).unwrap();
        let opened = Opened::new(dir.path());
        assert!(
            opened.warnings.len() == 1 && opened.warnings[0].contains(reason),
            "{:?}",
            opened.warnings
        );
        let newest = fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let kept = newest
            .filter_map(|path| fs::read_to_string(path).ok())
            .any(|text| text == content);
        assert!(kept, "the broken file is kept");
        assert_eq!(opened.conditions(), [None, None]);
    }
}

#[test]
fn a_directory_or_pipe_in_place_of_the_file_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = state_file(dir.path());
    for make in ["mkdir", "mkfifo"] {
        assert!(Command::new(make).arg(&path).status().unwrap().success());
        let opened = Opened::new(dir.path());
        assert!(
            opened.warnings[0].contains("it is not a regular file"),
            "{:?}",
            opened.warnings
        );
        opened.store.flush();
        assert_eq!(opened.state_saved(), Some(true));
        drop(opened);
        fs::remove_file(&path).unwrap();
    }
}

/// Opens the directory, saves a state, and closes it. Panics if that takes long.
fn opened_and_saved(dir: &Path) -> (Vec<String>, Option<bool>) {
    let (dir, (done, result)) = (dir.to_owned(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let opened = Opened::new(&dir);
        opened.run("db/tcp", false);
        opened.store.flush();
        let saved = opened.state_saved();
        let warnings = opened.warnings.clone();
        drop(opened);
        let _ = done.send((warnings, saved));
    });
    let result = result.recv_timeout(Duration::from_secs(20));
    result.expect("a file in the directory blocks the store")
}

#[test]
fn links_in_the_directory_are_not_followed() {
    let (other, _) = prepared();
    let victim = other.path().join("victim");
    for name in FILES {
        let dir = tempfile::tempdir().unwrap();
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(name)).unwrap();
        let (warnings, saved) = opened_and_saved(dir.path());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
        // The state file and the temporary file are replaced. The lock file may belong to another process, so it stays.
        assert_eq!(saved, Some(name != "state.lock"), "{name}: {warnings:?}");
        let is_reported = warnings
            .iter()
            .any(|warning| warning.contains("it is a symbolic link"));
        // Without a copy, the log is not read.
        let is_read = matches!(name, "state.json" | "state.lock");
        assert_eq!(is_reported, is_read, "{name}: {warnings:?}");
        // Nothing is created at the target of the link.
        fs::remove_file(&victim).unwrap();
        opened_and_saved(dir.path());
        assert!(!victim.exists(), "{name}");
    }
    // A valid state is not read through a link either.
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(state_file(other.path()), state_file(dir.path())).unwrap();
    assert_eq!(Opened::new(dir.path()).conditions(), [None, None]);
}

#[test]
fn pipes_in_the_directory_do_not_block() {
    for name in FILES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // If another process holds the pipe open, opening it succeeds.
        for is_held in [false, true] {
            let held = is_held.then(|| fs::OpenOptions::new().read(true).write(true).open(&path));
            let (warnings, saved) = opened_and_saved(dir.path());
            assert_eq!(saved, Some(name != "state.lock"), "{name}: {warnings:?}");
            if name != "state.lock" {
                break;
            }
            let is_reported = warnings
                .iter()
                .any(|warning| warning.contains("it is not a regular file"));
            assert!(is_reported, "{warnings:?}");
            drop(held);
        }
    }
}

#[test]
fn the_highest_number_of_a_broken_file_is_handled() {
    let (dir, _) = prepared();
    let largest = dir.path().join(format!("state.json.broken-{}", u64::MAX));
    fs::write(&largest, "").unwrap();
    fs::write(state_file(dir.path()), "torn").unwrap();
    let (warnings, saved) = opened_and_saved(dir.path());
    assert_eq!(saved, Some(true), "{warnings:?}");
    assert_eq!(fs::read_to_string(&largest).unwrap(), "torn");
}

#[test]
fn a_directory_that_everybody_may_write_to_is_reported() {
    let (dir, conditions) = prepared();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let opened = Opened::new(dir.path());
    let [warning] = opened.warnings.as_slice() else {
        panic!("{:?}", opened.warnings);
    };
    assert!(
        warning.contains("everybody may write") && warning.contains("chmod o-w"),
        "{warning}"
    );
    assert_eq!(opened.conditions(), conditions);
}

#[test]
fn only_configured_services_are_restored() {
    let (dir, conditions) = prepared();
    let db = Config {
        services: vec![service("db", vec![tcp("tcp")])],
        ..Config::default()
    };
    let opened = Opened::with(dir.path(), &db);
    assert_eq!(opened.conditions(), conditions[1..]);
    drop(opened);
    let opened = Opened::new(dir.path());
    assert_eq!(
        opened.conditions(),
        [None, conditions[1]],
        "the state of api was removed"
    );
}

#[test]
fn a_change_is_saved_within_a_second_and_unchanged_results_are_not() {
    let (dir, _) = prepared();
    let opened = Opened::new(dir.path());
    opened.run("db/tcp", true);
    let content = || {
        let log = fs::read_to_string(dir.path().join("state.log")).unwrap_or_default();
        fs::read_to_string(state_file(dir.path())).unwrap() + &log
    };
    opened.store.flush();
    let quiet = content();
    for _ in 0..100 {
        opened.run("db/tcp", true);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(content(), quiet, "runs without changes cause no write");
    let failed = Instant::now();
    opened.run("db/tcp", false);
    wait_until("a change is written", || content() != quiet);
    assert!(
        failed.elapsed() < Duration::from_secs(1),
        "{:?}",
        failed.elapsed()
    );
}

#[test]
fn two_exporters_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::new(dir.path());
    let second = Store::open(Arc::new(SystemClock::new()), Some(dir.path().to_owned()));
    let text = second.err().unwrap().to_string();
    assert!(
        text.contains("in use by another process") && text.contains("--state.dir"),
        "{text}"
    );
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(opened);
    Opened::new(dir.path());
}

/// Runs a test in a child process with its own mount namespace, after `setup`, a shell command that gets the directory as `$1`.
fn in_mount_namespace(name: &str, setup: &str, dir: &Path) {
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(format!("{setup}; shift; exec \"$@\""))
        .arg("sh")
        .arg(dir)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .output()
        .expect("this test needs unshare (Debian: util-linux) and root");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "run this test as root, with mount and unshare: {text}"
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{text}"
    );
}

#[test]
fn a_full_disk_keeps_the_old_file_and_saving_is_retried() {
    const NAME: &str = "a_full_disk_keeps_the_old_file_and_saving_is_retried";
    let Some(dir) = child_dir() else {
        let dir = tempfile::tempdir().unwrap();
        return in_mount_namespace(
            NAME,
            "mount -t tmpfs -o size=256k,mode=755 tmpfs \"$1\"",
            dir.path(),
        );
    };
    let opened = Opened::new(&dir);
    opened.run("db/tcp", true);
    opened.run("api/http", false);
    opened.store.flush();
    assert_eq!(opened.state_saved(), Some(true));
    let before = opened.conditions();
    let old = fs::read(state_file(&dir)).unwrap();

    let filler = dir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    opened.run("db/tcp", false);
    opened.store.flush();
    assert_eq!(opened.state_saved(), Some(false));
    assert_eq!(
        fs::read(state_file(&dir)).unwrap(),
        old,
        "the old file is complete"
    );
    let now = opened.conditions();
    assert_ne!(now, before, "checks continue");

    // Another process starts on the full disk and restores the old state.
    drop(opened);
    let opened = Opened::new(&dir);
    assert_eq!(opened.warnings, [""; 0]);
    assert_eq!(opened.conditions(), before);
    wait_until("the full disk is warningd", || {
        opened.state_saved() == Some(false)
    });
    drop(file);
    fs::remove_file(&filler).unwrap();
    wait_until("saving is retried", || opened.state_saved() == Some(true));
    opened.run("api/http", true);
    assert_eq!(opened.conditions(), before);
}

#[test]
fn a_full_disk_at_the_start_is_a_warning() {
    const NAME: &str = "a_full_disk_at_the_start_is_a_warning";
    let Some(dir) = child_dir() else {
        let dir = tempfile::tempdir().unwrap();
        // There is no free inode for another file.
        return in_mount_namespace(
            NAME,
            "mount -t tmpfs -o size=64k,nr_inodes=1 tmpfs \"$1\"",
            dir.path(),
        );
    };
    let opened = Opened::new(&dir);
    assert!(
        opened.warnings[0].contains("opening the lock file"),
        "{:?}",
        opened.warnings
    );
    assert!(
        opened.warnings[0].contains("are lost on restart"),
        "{:?}",
        opened.warnings
    );
    opened.run("db/tcp", false);
    assert_eq!(opened.store.snapshot().services[1].status, Status::Down);
    opened.store.flush();
    assert_eq!(opened.state_saved(), Some(false));
}

#[test]
fn a_read_only_directory_is_read_with_a_warning() {
    const NAME: &str = "a_read_only_directory_is_read_with_a_warning";
    let Some(dir) = child_dir() else {
        let (dir, conditions) = prepared();
        fs::write(dir.path().join("expected"), format!("{conditions:?}")).unwrap();
        let setup = "mount --bind \"$1\" \"$1\"; mount -o remount,ro,bind \"$1\"";
        return in_mount_namespace(NAME, setup, dir.path());
    };
    let opened = Opened::new(&dir);
    assert_eq!(
        format!("{:?}", opened.conditions()),
        fs::read_to_string(dir.join("expected")).unwrap()
    );
    assert!(
        opened.warnings[0].contains("Read-only file system"),
        "{:?}",
        opened.warnings
    );
    opened.run("db/tcp", false);
    opened.store.flush();
    assert_eq!(opened.state_saved(), Some(false));
    // A broken file can't be moved aside here either. The store opens all the same.
    drop(opened);
    assert!(
        Command::new("mount")
            .args(["-o", "remount,rw,bind"])
            .arg(&dir)
            .status()
            .unwrap()
            .success()
    );
    fs::write(state_file(&dir), "torn").unwrap();
    assert!(
        Command::new("mount")
            .args(["-o", "remount,ro,bind"])
            .arg(&dir)
            .status()
            .unwrap()
            .success()
    );
    let opened = Opened::new(&dir);
    assert!(
        opened
            .warnings
            .iter()
            .any(|text| text.contains("moving it aside failed too")),
        "{:?}",
        opened.warnings
    );
}

#[test]
fn a_missing_directory_is_created_or_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    let opened = Opened::new(&inner);
    opened.store.flush();
    assert!(state_file(&inner).is_file());
    assert_eq!(
        fs::metadata(state_file(&inner)).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let opened = Opened::new(&blocked.join("c"));
    assert!(
        opened.warnings[0].contains("creating the state directory"),
        "{:?}",
        opened.warnings
    );
    opened.store.flush();
    assert_eq!(opened.state_saved(), Some(false));
}

#[test]
fn without_a_directory_nothing_is_saved() {
    let (store, warnings) = Store::open(Arc::new(SystemClock::new()), None).unwrap();
    store.apply(&each(vec![tcp("a")]));
    store.flush();
    assert_eq!((store.snapshot().exporter.state_saved, warnings.len()), (None, 0));
    assert_eq!(store.snapshot().services[0].status, Status::Unknown);
    assert!(Moment::default() <= SystemClock::new().now());
}
