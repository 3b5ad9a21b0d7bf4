//! When windows hold: the wall clock, reloads and restarts.

use super::{TestManager, config, services};
use crate::model::Clock;
use crate::store::test_clock::SECOND;

#[test]
fn windows_of_the_configuration_follow_the_wall_clock() {
    let windows =
        "maintenance: [{ name: early, weekly: [mon], at: '01:00', for: 30m, groups: [web], reason: backup }]";
    let test = TestManager::start(0, None, windows);
    assert_eq!(
        test.list(),
        ["early Planned api, shop 2026-01-05T01:00:00Z 2026-01-05T01:30:00Z"]
    );
    assert_eq!(test.active(), [""; 0]);
    test.at(3600);
    assert_eq!(test.active(), ["api", "shop"]);
    let views = test.views();
    let maintenance = views[0].maintenance.as_ref().unwrap();
    assert_eq!(
        (&*maintenance.id, &*maintenance.reason, &maintenance.by),
        ("early", "backup", &None)
    );
    // The wall clock is set back: the window starts again later.
    test.step(-1800);
    assert_eq!(test.active(), [""; 0]);
    test.step(1800);
    assert_eq!(test.active(), ["api", "shop"]);
    test.step(1800);
    assert_eq!(test.active(), [""; 0]);
    assert_eq!(
        test.list(),
        ["early Planned api, shop 2026-01-12T01:00:00Z 2026-01-12T01:30:00Z"]
    );
}

#[test]
fn a_reload_changes_windows_that_hold() {
    let once = |end: &str, keys: &str| {
        config(&format!(
            "maintenance: [{{ at: '2026-01-05 00:00', for: {end}, services: [{keys}] }}]"
        ))
    };
    let test = TestManager::start(10, None, "");
    assert_eq!(test.active(), [""; 0]);
    test.apply(&once("1h", "api"));
    assert_eq!(test.active(), ["api"]);
    test.apply(&once("1h", "api, db"));
    assert_eq!(test.active(), ["api", "db"]);
    assert_eq!(test.views()[0].maintenance.as_ref().unwrap().id, "maintenance[0]");
    test.apply(&once("5s", "api, db"));
    assert_eq!(test.active(), [""; 0]);
    test.apply(&once("1h", "db"));
    assert_eq!(test.active(), ["db"]);
    test.apply(&config(""));
    assert_eq!(test.active(), [""; 0]);
}

#[test]
fn the_end_of_a_window_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let test = TestManager::start(0, Some(dir.path()), "");
    test.start_window(services(&["api"]), 60).unwrap();
    drop(test);
    let windows = "maintenance: [{ at: '2026-01-05 00:00', for: 80s, services: [db] }]";
    let test = TestManager::start(100, Some(dir.path()), windows);
    let state = test.manager.state();
    let ended = state.windows(test.clock.now()).ended();
    let ended: Vec<(String, i64)> = ended
        .iter()
        .map(|(key, end)| (key.to_string(), end.as_nanos() / SECOND))
        .collect();
    assert_eq!(ended, [("api".to_owned(), -40), ("db".to_owned(), -20)]);
}

#[test]
fn a_step_of_the_wall_clock_does_not_change_the_length_of_a_window_of_a_command() {
    for step in [3600, -3600] {
        let dir = tempfile::tempdir().unwrap();
        let test = TestManager::start(0, Some(dir.path()), "");
        test.start_window(services(&["api"]), 60).unwrap();
        test.at(10);
        test.step(step);
        assert_eq!(test.active(), ["api"], "{step}");
        drop(test);
        // The file has the times of the new wall clock.
        let test = TestManager::start(step + 30, Some(dir.path()), "");
        assert_eq!(test.active(), ["api"], "{step}");
        test.at(29);
        assert_eq!(test.active(), ["api"], "{step}");
        test.at(30);
        assert_eq!(test.active(), [""; 0], "{step}");
    }
}

#[test]
fn a_wall_clock_that_was_set_back_before_a_start_does_not_prolong_a_window() {
    let dir = tempfile::tempdir().unwrap();
    let test = TestManager::start(86_400, Some(dir.path()), "");
    test.start_window(services(&["api"]), 60).unwrap();
    drop(test);
    // Such as a machine without a battery for its clock. The file is corrected, so further restarts do not prolong it either.
    let test = TestManager::start(0, Some(dir.path()), "");
    assert_eq!(
        test.list(),
        ["m1 Active api 2026-01-05T00:00:00Z 2026-01-05T00:01:00Z"]
    );
    test.at(20);
    drop(test);
    let test = TestManager::start(30, Some(dir.path()), "");
    assert_eq!(test.active(), ["api"]);
    test.at(30);
    assert_eq!(test.active(), [""; 0]);
}
