//! What healing keeps in its file: over restarts, with a full disk, and with a clock that is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::model::{Clock, Moment};

use crate::common::clock::TokioClock;
use crate::stage::{Stage, one};

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_exporter_renews_no_budget() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let first = Stage::with(&one("act"), false, |_| Some(path.clone()));
    first.fail(10).await;
    assert_eq!(first.actions(), 1);
    first.healer.stop().await;
    drop(first);
    let second = Stage::with(&one("act"), false, |_| Some(path));
    second.fail(3600).await;
    assert_eq!(second.actions(), 1, "the second one in a row");
    assert!(second.view().has_given_up);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_given_up_stays_so_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let first = Stage::with(&one("act"), false, |_| Some(path.clone()));
    first.fail(4 * 3600).await;
    first.healer.stop().await;
    drop(first);
    let second = Stage::with(&one("act"), false, |_| Some(path));
    second.fail(600).await;
    assert_eq!(
        (second.actions(), second.view().refusal),
        (0, Some(Refusal::GaveUp))
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_if_the_intent_can_not_be_saved() {
    for no_dir in [true, false] {
        let stage = Stage::with(&one("act"), false, |dir| {
            // A file in place of the directory.
            let path = dir.join("file");
            std::fs::write(&path, "").unwrap();
            (!no_dir).then_some(path)
        });
        stage.fail(300).await;
        assert_eq!(stage.actions(), 0);
        assert_eq!(stage.view().refusal, Some(Refusal::History));
        assert!(stage.healer.view().cannot_save);
        assert_eq!(stage.view().budget_remaining, 5, "nothing was spent");
    }
}

const HOUR: i64 = 3600 * 1_000_000_000;

/// A clock whose wall time can be set.
struct SetClock {
    clock: Arc<TokioClock>,
    /// By how much it was set, in nanoseconds.
    step: AtomicI64,
}

impl SetClock {
    fn new(step: i64) -> Arc<Self> {
        Arc::new(Self {
            clock: TokioClock::new(),
            step: AtomicI64::new(step),
        })
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall_nanos(&self) -> i64 {
        self.clock.wall_nanos() + self.step.load(Ordering::Relaxed)
    }

    fn moment(&self, instant: Instant) -> Moment {
        self.clock.moment(instant)
    }
}

/// The clock is set while the exporter runs, or while it does not.
#[tokio::test(start_paused = true)]
async fn setting_the_clock_changes_neither_budgets_nor_pauses() {
    for (while_running, at_the_restart) in [(-HOUR, -HOUR), (0, -HOUR), (HOUR, HOUR), (0, 1000 * HOUR)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let clock = SetClock::new(0);
        let first = Stage::on(clock.clone(), &one("act"), false, |_| Some(path.clone()));
        first.fail(10).await;
        assert_eq!(first.actions(), 1);
        clock.step.store(while_running, Ordering::Relaxed);
        let for_an_hour = Some(Duration::from_secs(3600));
        first.healer.pause(None, for_an_hour, "root", "upgrade");
        first.healer.stop().await;
        drop(first);

        let second = Stage::on(SetClock::new(at_the_restart), &one("act"), false, |_| Some(path));
        assert_eq!(second.view().budget_remaining, 4);
        second.fail(3500).await;
        assert_eq!(
            (second.actions(), second.view().refusal),
            (0, Some(Refusal::Paused))
        );
        second.fail(200).await;
        assert_eq!(second.actions(), 1, "the pause ended after an hour");
    }
}

/// The environment variable with the directory of the test below, on a small disk of its own.
const DISK: &str = "UPKEEP_TEST_HEAL_DISK";

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_healing_until_there_is_space() {
    const NAME: &str = "saved::a_full_disk_ends_healing_until_there_is_space";
    let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .arg("mount -t tmpfs -o size=256k none \"$1\"; shift; exec \"$@\"")
            .arg("sh")
            .arg(dir.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(DISK, dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "run this test as root, with mount and unshare: {output:?}"
        );
        return;
    };
    let stage = Stage::with(&one("act"), false, |_| Some(disk.join("state")));
    stage.fail(10).await;
    stage.run(90, &["api"], None).await;
    let old = std::fs::read(disk.join("state/heal.json")).unwrap();
    let filler = disk.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    stage.fail(120).await;
    assert_eq!(
        (stage.actions(), stage.view().refusal),
        (1, Some(Refusal::History))
    );
    assert_eq!(stage.view().budget_remaining, 4, "nothing was spent");
    let now = std::fs::read(disk.join("state/heal.json")).unwrap();
    assert!(now == old, "the old file is complete");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    stage.fail(15).await;
    assert_eq!(stage.actions(), 2);
}
