//! The file with the windows of commands, and disks that fail.

use std::sync::Arc;

use super::{TestManager, config, services};
use crate::maintenance::{Manager, Request};
use crate::store::Store;
use crate::store::test_clock::TestClock;

#[test]
fn windows_of_commands_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let test = TestManager::start(0, Some(dir.path()), "");
    let response = test.start_window(services(&["api"]), 60).unwrap();
    assert_eq!(response.warnings, [""; 0]);
    test.start_window(services(&["db"]), 10).unwrap();
    test.start_window(services(&["shop"]), 100).unwrap();
    test.end("shop").unwrap();
    drop(test);
    let test = TestManager::start(30, Some(dir.path()), "");
    assert_eq!(test.active(), ["api"]);
    assert_eq!(
        test.list(),
        ["m1 Active api 2026-01-05T00:00:00Z 2026-01-05T00:01:00Z"]
    );
    test.at(30);
    assert_eq!(test.active(), [""; 0]);
    let next = test.start_window(services(&["api"]), 60).unwrap();
    assert_eq!(next.windows[0].id, "m4", "ids are not reused");
}

#[test]
fn a_file_that_can_not_be_used_is_moved_aside() {
    for text in [
        "{",
        "{}",
        r#"{"format":"upkeep_exporter maintenance","version":9,"next":1,"windows":[]}"#,
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("maintenance.json"), text).unwrap();
        let clock = TestClock::new(0, 0);
        let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
        let state_dir = store.state_dir();
        let (_, warning) = Manager::open(store, clock, state_dir);
        assert!(
            warning
                .unwrap()
                .contains("windows that commands started are lost"),
            "{text}"
        );
        let aside = std::fs::read_to_string(dir.path().join("maintenance.json.broken-1"));
        assert_eq!(aside.unwrap(), text);
    }
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other");
    std::fs::write(&other, "kept").unwrap();
    std::os::unix::fs::symlink(&other, dir.path().join("maintenance.json")).unwrap();
    std::os::unix::fs::symlink(&other, dir.path().join("maintenance.json.tmp")).unwrap();
    let clock = TestClock::new(0, 0);
    let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
    let state_dir = store.state_dir();
    let (manager, warning) = Manager::open(store, clock, state_dir);
    assert!(warning.unwrap().contains("symbolic link"));
    manager.apply(&config(""));
    let request = Request::Start {
        scope: services(&["api"]),
        seconds: 60,
        reason: "test".to_owned(),
    };
    assert_eq!(manager.handle(&request, "ops").unwrap().warnings, [""; 0]);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "kept");
}

#[test]
fn a_saved_window_holds_for_the_longest_time_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"{{"format":"upkeep_exporter maintenance","version":1,"next":1,"windows":[{{"id":"m1","scope":{{"all":true}},
            "started":{},"ends":{},"by":"ops","reason":"test"}}]}}"#,
        i64::MIN,
        i64::MAX
    );
    std::fs::write(dir.path().join("maintenance.json"), text).unwrap();
    let test = TestManager::start(0, Some(dir.path()), "");
    assert_eq!(test.active(), ["api", "shop", "db"]);
    test.at(31 * 86_400);
    assert_eq!(test.active(), [""; 0]);
}

#[test]
fn a_disk_that_hangs_does_not_prolong_a_window() {
    let dir = tempfile::tempdir().unwrap();
    let test = TestManager::start(0, Some(dir.path()), "");
    test.start_window(services(&["shop"]), 10).unwrap();
    test.start_window(services(&["api"]), 20).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // A write that hangs holds this lock.
    let hanging = test.manager.file.as_ref().unwrap().lock().unwrap();
    test.manager.state().needs_saving = true;
    runtime.spawn(Arc::clone(&test.manager).update_every_second());
    for (second, expected) in [(10, &["api"][..]), (20, &[])] {
        test.clock.set(second);
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while test.active() != expected {
            assert!(std::time::Instant::now() < limit, "at {second}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    drop(hanging);
}

#[test]
fn without_space_on_the_disk_a_window_holds_and_the_operator_is_warned() {
    let dir = tempfile::tempdir().unwrap();
    let test = TestManager::start(0, Some(dir.path()), "");
    // Nobody can create a file below a file.
    std::fs::create_dir(dir.path().join("maintenance.json.tmp")).unwrap();
    let response = test.start_window(services(&["api"]), 60).unwrap();
    assert!(
        response.warnings[0].contains("saving the maintenance windows failed"),
        "{response:?}"
    );
    assert_eq!(test.active(), ["api"]);
    std::fs::remove_dir(dir.path().join("maintenance.json.tmp")).unwrap();
    test.at(1);
    drop(test);
    assert_eq!(TestManager::start(2, Some(dir.path()), "").active(), ["api"]);
}
