//! Tests the log of changes with a real store: what it contains, how much is written, and full disks.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use upkeep_exporter::config::{Config, Service};
use upkeep_exporter::model::{ServiceKey, Status};

use crate::common::config::{service, tcp};
use crate::{Opened, child_dir, in_mount_namespace, open, state_file, wait_until};

/// The length of the log, if its last record is complete.
fn log_length(dir: &Path) -> usize {
    let text = fs::read(dir.join("state.log")).unwrap_or_default();
    if text.ends_with(b"\n") { text.len() } else { 0 }
}

/// Changes the state until the log has such changes too: a reload, such as the first one, needs a copy.
fn log_changes(opened: &Opened, dir: &Path) {
    opened.run("api/tcp", true);
    opened.run("db/tcp", true);
    opened.store.flush();
    opened.run("api/http", false);
    wait_until("the change is in the log", || log_length(dir) > 0);
    let length = log_length(dir);
    opened.run("db/tcp", false);
    wait_until("another change is in the log", || log_length(dir) > length);
}

/// The directory of an exporter that was killed when its log had changes, and the since-times.
fn killed() -> (TempDir, Vec<Option<[u64; 3]>>) {
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let opened = Opened::new(dir.path());
    log_changes(&opened, dir.path());
    for name in ["state.json", "state.log"] {
        fs::copy(dir.path().join(name), kept.path().join(name)).unwrap();
    }
    (kept, opened.conditions())
}

#[test]
fn changes_since_the_copy_are_in_the_log() {
    let (dir, conditions) = killed();
    let text = fs::read_to_string(state_file(dir.path())).unwrap();
    assert!(!text.contains("\"down\""), "the copy is older: {text}");
    let opened = Opened::new(dir.path());
    assert_eq!(opened.warnings, [""; 0]);
    assert_eq!(opened.conditions(), conditions);
    let services = opened.store.snapshot().services;
    let statuses: Vec<Status> = services.iter().map(|view| view.status).collect();
    assert_eq!(statuses, [Status::Down; 2]);
    drop(opened);
    // An exporter that ends leaves a complete copy, which older versions read too.
    assert!(!dir.path().join("state.log").exists());
    assert_eq!(Opened::new(dir.path()).conditions(), conditions);
}

#[test]
fn the_log_is_removed_at_the_end_even_without_another_run() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::new(dir.path());
    log_changes(&opened, dir.path());
    let conditions = opened.conditions();
    opened.store.flush();
    assert!(!dir.path().join("state.log").exists());
    let copy = fs::read(state_file(dir.path())).unwrap();
    opened.store.flush();
    assert_eq!(fs::read(state_file(dir.path())).unwrap(), copy, "nothing changed");
    drop(opened);
    assert_eq!(Opened::new(dir.path()).conditions(), conditions);
}

#[test]
fn a_log_of_a_read_only_directory_is_read() {
    const NAME: &str = "changes::a_log_of_a_read_only_directory_is_read";
    let Some(dir) = child_dir() else {
        let (dir, conditions) = killed();
        fs::write(dir.path().join("expected"), format!("{conditions:?}")).unwrap();
        let setup = "mount --bind \"$1\" \"$1\"; mount -o remount,ro,bind \"$1\"";
        return in_mount_namespace(NAME, setup, dir.path());
    };
    let expected = fs::read_to_string(dir.join("expected")).unwrap();
    for _ in 0..2 {
        let opened = Opened::new(&dir);
        assert_eq!(format!("{:?}", opened.conditions()), expected);
        opened.store.flush();
        assert_eq!(opened.state_saved(), Some(false));
    }
}

#[test]
fn a_full_disk_keeps_the_log_and_saving_is_retried() {
    const NAME: &str = "changes::a_full_disk_keeps_the_log_and_saving_is_retried";
    let Some(dir) = child_dir() else {
        let dir = tempfile::tempdir().unwrap();
        let setup = "mount -t tmpfs -o size=256k,mode=755 tmpfs \"$1\"";
        return in_mount_namespace(NAME, setup, dir.path());
    };
    let opened = Opened::new(&dir);
    log_changes(&opened, &dir);
    let before = opened.conditions();
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let (copy, log) = (read("state.json"), read("state.log"));
    let filler = dir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    // The rest of the log's last page is still free.
    let mut number = 0;
    wait_until("the disk is full", || {
        number += 1;
        opened.run("db/tcp", number % 4 > 1);
        opened.state_saved() == Some(false)
    });
    assert_eq!(read("state.json"), copy);
    assert!(read("state.log").starts_with(&log), "complete records stay");
    assert_eq!(opened.store.snapshot().services.len(), before.len());
    let during = opened.conditions();

    // Another process finds what was saved last.
    let other = tempfile::tempdir().unwrap();
    for name in ["state.json", "state.log"] {
        fs::copy(dir.join(name), other.path().join(name)).unwrap();
    }
    let (_, warnings) = open(&(opened.clock.clone() as _), other.path());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(Opened::new(other.path()).conditions()[0], before[0]);

    drop(file);
    fs::remove_file(&filler).unwrap();
    wait_until("saving is retried", || opened.state_saved() == Some(true));
    drop(opened);
    assert_eq!(Opened::new(&dir).conditions(), during);
}

/// Bytes that this process wrote so far (proc_pid_io(5)).
fn written() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn few_changes_of_10000_checks_write_little() {
    const NAME: &str = "changes::few_changes_of_10000_checks_write_little";
    const CHANGES: usize = 6;
    let Some(dir) = child_dir() else {
        let dir = tempfile::tempdir().unwrap();
        // A process of its own, so that it counts no bytes of other tests.
        return in_mount_namespace(NAME, "true", dir.path());
    };
    let model = service("model", ["a", "b", "c", "d"].map(tcp).to_vec());
    let named = |number: usize| {
        Arc::new(Service {
            key: ServiceKey::new(format!("service-{number}")),
            ..Service::clone(&model)
        })
    };
    let config = Config {
        services: (0..2500).map(named).collect(),
        ..Config::default()
    };
    let opened = Opened::with(&dir, &config);
    opened.store.flush();
    let copy = fs::metadata(state_file(&dir)).unwrap().len();
    let mut is_up = true;
    let copy_number = || fs::metadata(state_file(&dir)).unwrap().ino();
    // After the first copy, the saver pauses for three times as long as that took, which is long on a slow machine.
    let (first, began) = (copy_number(), Instant::now());
    opened.run("service-0/b", false);
    while log_length(&dir) == 0 && copy_number() == first {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the first change is not saved"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut bytes = u64::MAX;
    wait_until("only changes are saved for a moment", || {
        // A failure after a success, or the other way round.
        is_up = !is_up;
        let (number_before, before) = (copy_number(), written());
        for number in 0..CHANGES {
            let length = log_length(&dir);
            opened.run(&format!("service-{number}/a"), is_up);
            wait_until("the change is saved", || {
                log_length(&dir) > length || copy_number() != number_before
            });
        }
        bytes = written() - before;
        // On a slow machine, 30 s may have passed since the last copy.
        copy_number() == number_before
    });
    assert!(
        bytes < CHANGES as u64 * 4096 && copy > 1_000_000,
        "{CHANGES} changes wrote {bytes} bytes; the copy has {copy}"
    );
}
