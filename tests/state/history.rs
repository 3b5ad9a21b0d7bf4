//! Tests the saved history of the services with a real store: restarts, killed writers and full disks.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use tokio::runtime::Handle;
use upkeep_exporter::history::{History, Range, Reader, Step};
use upkeep_exporter::model::{Clock, PastStatus, PastTotals, Status, SystemClock};
use upkeep_exporter::store::{StateDir, Store};

use crate::{Opened, child, child_dir, in_mount_namespace, wait_until};

/// Everything until now.
fn totals(reader: &Reader) -> PastTotals {
    totals_since(reader, reader.now() - 3600)
}

fn totals_since(reader: &Reader, from: i64) -> PastTotals {
    let range = Range {
        from,
        to: reader.now() + 1,
    };
    reader.totals("api", range, Step::FiveMinutes).unwrap_or_default()
}

/// Records the history of a store, and what its clock says.
fn record(opened: &Opened) -> (History, Vec<String>) {
    let clock: Arc<dyn Clock> = opened.clock.clone();
    History::start(&Handle::current(), Arc::clone(&opened.store), clock)
}

/// Fails a check, and waits until the service was down for a second.
fn go_down(opened: &Opened, history: &History) {
    opened.run("api/http", false);
    let reader = history.reader();
    wait_until("the service was down for a second", || {
        history.save();
        totals(&reader).seconds(PastStatus::Down) >= 1.0
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restart_keeps_the_history_and_the_time_between_has_no_data() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::new(dir.path());
    let (history, warnings) = record(&opened);
    assert_eq!(warnings, [""; 0]);
    opened.run("api/tcp", true);
    go_down(&opened, &history);
    history.stop();
    // The same rows before and after, even if a row ends in between.
    let from = history.reader().now() - 3600;
    let before = totals_since(&history.reader(), from);
    drop((history, opened));

    std::thread::sleep(std::time::Duration::from_millis(1200));
    let began = std::time::Instant::now();
    let opened = Opened::new(dir.path());
    let (history, warnings) = record(&opened);
    assert_eq!(warnings, [""; 0]);
    history.save();
    let after = totals_since(&history.reader(), from);
    // Time that passes while this exporter runs may be recorded.
    let runs = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert!(after.millis[PastStatus::Down as usize] >= before.millis[PastStatus::Down as usize]);
    let added = after.millis.iter().sum::<u64>() - before.millis.iter().sum::<u64>();
    assert!(added <= runs + 10, "{added} ms were added in {runs} ms");
    assert!(after.no_data_millis >= before.no_data_millis + 1000, "{after:?}");
    let range = Range {
        from: 0,
        to: i64::MAX,
    };
    let incidents = history.reader().incidents("api", range).unwrap();
    assert_eq!(
        incidents.len(),
        1,
        "the service was down before and after the restart: {incidents:?}"
    );
    assert_eq!((incidents[0].status, incidents[0].until), (Status::Down, None));
    let check = incidents[0].check.as_ref().map(|name| name.as_str().to_owned());
    assert_eq!(check.as_deref(), Some("http"));
}

/// The state is saved at once, the history only every minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_that_the_history_lost_in_a_kill_is_taken_from_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Opened::new(dir.path());
    let (history, _) = record(&opened);
    opened.run("api/tcp", true);
    opened.run("api/http", true);
    history.save();
    let log = fs::read(dir.path().join("history.log")).unwrap();
    opened.run("api/http", false);
    opened.store.flush();
    drop((history, opened));
    // The exporter was killed before it saved the history again.
    fs::write(dir.path().join("history.log"), log).unwrap();

    let opened = Opened::new(dir.path());
    let (history, warnings) = record(&opened);
    assert_eq!(warnings, [""; 0]);
    history.save();
    let range = Range {
        from: 0,
        to: i64::MAX,
    };
    let incidents = history.reader().incidents("api", range).unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!((incidents[0].status, incidents[0].until), (Status::Down, None));
    let check = incidents[0].check.as_ref().map(|name| name.as_str().to_owned());
    assert_eq!(check.as_deref(), Some("http"));
}

/// Saves as fast as possible until it is killed. Prints the milliseconds of each completed save.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn history_writer() {
    let Some(dir) = child_dir() else { return };
    let opened = Opened::new(&dir);
    let (history, _) = record(&opened);
    let reader = history.reader();
    loop {
        // Before the save, since the next observation may come right after it.
        let saved = totals(&reader).millis.iter().sum::<u64>();
        history.save();
        println!("saved {saved}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_kill_loses_only_what_was_not_saved() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for number in 0..4 {
        let mut child = child("history::history_writer", dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        // The first saves may take less than the time between two observations.
        while count < 20 + number * 7 || last == 0 {
            let line = lines.next().unwrap().unwrap();
            if let Some(saved) = line.strip_prefix("saved ") {
                last = saved.parse().unwrap();
                count += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let opened = Opened::new(dir.path());
        let (history, warnings) = record(&opened);
        assert_eq!(warnings, [""; 0], "an incomplete record at the end is expected");
        let found = totals(&history.reader()).millis.iter().sum::<u64>();
        assert!(last > 0 && found >= last, "{found} ms, {last} ms were saved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_disk_loses_nothing_and_saving_is_retried() {
    let Some(dir) = child_dir() else {
        let dir = tempfile::tempdir().unwrap();
        let name = "history::a_full_disk_loses_nothing_and_saving_is_retried";
        return in_mount_namespace(
            name,
            "mount -t tmpfs -o size=256k,mode=755 tmpfs \"$1\"",
            dir.path(),
        );
    };
    let opened = Opened::new(&dir);
    let (history, _) = record(&opened);
    opened.run("api/tcp", true);
    go_down(&opened, &history);
    let reader = history.reader();
    assert_eq!(reader.is_saved(), Some(true));
    let saved = fs::read(dir.join("history.log")).unwrap();

    let filler = dir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    // The rest of the log's last page is still free.
    wait_until("the disk is full", || {
        opened.run("api/http", true);
        opened.run("api/http", false);
        history.save();
        reader.is_saved() == Some(false)
    });
    let kept = fs::read(dir.join("history.log")).unwrap();
    assert!(kept.starts_with(&saved), "complete records stay");
    let before = totals(&reader);
    drop(file);
    fs::remove_file(&filler).unwrap();
    history.save();
    assert_eq!(reader.is_saved(), Some(true));
    drop(history);
    drop(opened);

    let opened = Opened::new(&dir);
    let (history, warnings) = record(&opened);
    assert_eq!(warnings, [""; 0]);
    let after = totals(&history.reader());
    for status in [PastStatus::Up, PastStatus::Down] {
        assert!(
            after.seconds(status) >= before.seconds(status),
            "{before:?}\n{after:?}"
        );
    }
}

/// Another exporter may use the directory when the lock can be taken again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_the_lock_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("state.lock");
    // Locking fails, but not because of another exporter: links are not followed.
    std::os::unix::fs::symlink("nowhere", &lock).unwrap();
    let opened = Opened::new(dir.path());
    assert!(
        opened.warnings[0].contains("lost on restart"),
        "{:?}",
        opened.warnings
    );
    let (history, _) = record(&opened);
    opened.run("api/tcp", true);
    let saved = history.reader();
    assert_eq!(saved.is_saved(), Some(true));
    wait_until("there is something to save", || {
        history.save();
        saved.is_saved() == Some(false)
    });
    opened.store.flush();
    assert!(fs::read_dir(dir.path()).unwrap().count() == 1, "only the lock");

    let other = StateDir::with_lock(dir.path().to_owned(), "other.lock");
    other.take_lock().unwrap();
    fs::rename(dir.path().join("other.lock"), &lock).unwrap();
    history.save();
    assert_eq!(saved.is_saved(), Some(false));
    drop(other);
    history.save();
    assert_eq!(saved.is_saved(), Some(true));
    assert!(dir.path().join("history.log").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_a_directory_the_history_is_in_memory() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (store, _) = Store::open(Arc::clone(&clock), None).unwrap();
    let (history, warnings) = History::start(&Handle::current(), store, clock);
    history.save();
    assert_eq!((history.reader().is_saved(), warnings.len()), (None, 0));
}
