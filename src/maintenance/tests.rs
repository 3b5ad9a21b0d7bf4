//! Tests of the manager with a real store and a clock that the tests control.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use super::*;
use crate::config::{self, Config};
use crate::model::{Clock, Moment};
use crate::store::{ServiceView, Store};

const SECOND: i64 = 1_000_000_000;

/// The wall clock at second 0 of the tests: Monday, 5 January 2026, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;

const SERVICES: &str = "
services:
  - { key: api, group: web, port: 1 }
  - { key: shop, group: web, port: 2 }
  - { key: db, port: 3 }
";

/// A clock that stands still until a test sets it.
struct TestClock {
    now: AtomicI64,
    offset: AtomicI64,
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn wall_nanos(&self) -> i64 {
        self.now.load(Ordering::SeqCst) + self.offset.load(Ordering::SeqCst)
    }

    fn moment(&self, _: Instant) -> Moment {
        self.now()
    }
}

/// A manager with its store and clock.
struct TestManager {
    clock: Arc<TestClock>,
    store: Arc<Store>,
    manager: Arc<Manager>,
}

impl TestManager {
    /// Starts an exporter, `second` seconds after the start of the test.
    fn start(second: i64, dir: Option<&Path>, windows: &str) -> Self {
        let clock = Arc::new(TestClock {
            now: 0.into(),
            offset: ((MONDAY + second) * SECOND).into(),
        });
        let (store, warnings) = Store::open(clock.clone(), dir.map(Path::to_owned)).unwrap();
        assert_eq!(warnings, [""; 0]);
        let (manager, warning) = Manager::open(Arc::clone(&store), clock.clone(), dir.map(Path::to_owned));
        assert_eq!(warning, None);
        let test = Self {
            clock,
            store,
            manager,
        };
        test.apply(&config(windows));
        test
    }

    fn apply(&self, config: &Config) {
        self.manager.apply(config);
        self.store.apply(config);
    }

    /// Lets time pass until `second` seconds after the start of this exporter.
    fn at(&self, second: i64) {
        self.clock.now.store(second * SECOND, Ordering::SeqCst);
        self.manager.update();
    }

    /// Steps the wall clock.
    fn step(&self, seconds: i64) {
        self.clock.offset.fetch_add(seconds * SECOND, Ordering::SeqCst);
        self.manager.update();
    }

    fn start_window(&self, scope: Scope, seconds: u64) -> Result<Response, String> {
        let reason = "disk \u{1b}[2Jchange".to_owned();
        let request = Request::Start {
            scope,
            seconds,
            reason,
        };
        self.manager.handle(&request, "ops")
    }

    fn end(&self, window: &str) -> Result<Response, String> {
        let window = window.to_owned();
        self.manager.handle(&Request::End { window }, "ops")
    }

    fn extend(&self, window: &str, seconds: u64) -> Result<Response, String> {
        let window = window.to_owned();
        self.manager.handle(&Request::Extend { window, seconds }, "ops")
    }

    fn views(&self) -> Vec<ServiceView> {
        self.store.snapshot().services
    }

    /// The keys of the services in maintenance.
    fn active(&self) -> Vec<String> {
        let views = self.views().into_iter().filter(|view| view.maintenance.is_some());
        views.map(|view| view.service.key.to_string()).collect()
    }

    fn list(&self) -> Vec<String> {
        let windows = self.manager.handle(&Request::List, "ops").unwrap().windows;
        let line = |window: &WindowRow| {
            let WindowRow {
                id,
                state,
                scope,
                start,
                end,
                ..
            } = window;
            format!("{id} {state:?} {scope} {start} {end}")
        };
        windows.iter().map(line).collect()
    }
}

fn config(windows: &str) -> Config {
    let text = format!("{SERVICES}\n{windows}");
    config::parse(&text, "test.yml")
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .config
}

fn services(keys: &[&str]) -> Scope {
    Scope {
        services: keys.iter().map(ToString::to_string).collect(),
        ..Scope::default()
    }
}

fn group(name: &str) -> Scope {
    Scope {
        groups: vec![name.to_owned()],
        ..Scope::default()
    }
}

#[test]
fn a_window_of_a_command_starts_now_and_ends_after_its_length() {
    let test = TestManager::start(0, None, "");
    let response = test.start_window(services(&["api"]), 60).unwrap();
    assert_eq!(response.windows[0].end, "2026-01-05T00:01:00Z");
    assert_eq!(response.windows[0].reason, "disk \\u{1b}[2Jchange");
    assert!(
        response.warnings[0].contains("forgets this window when it restarts"),
        "{response:?}"
    );
    let views = test.views();
    let maintenance = views[0].maintenance.as_ref().unwrap();
    assert_eq!((&*maintenance.id, maintenance.by.as_deref()), ("m1", Some("ops")));
    assert_eq!(maintenance.ends, (MONDAY + 60) as f64);
    test.at(59);
    assert_eq!(test.active(), ["api"]);
    test.at(60);
    assert_eq!(test.active(), [""; 0]);
    assert_eq!(test.list(), [""; 0]);
}

#[test]
fn windows_are_for_services_groups_or_all() {
    let test = TestManager::start(0, None, "");
    test.start_window(group("web"), 60).unwrap();
    assert_eq!(test.active(), ["api", "shop"]);
    test.start_window(
        Scope {
            all: true,
            ..Scope::default()
        },
        30,
    )
    .unwrap();
    assert_eq!(test.active(), ["api", "shop", "db"]);
    assert_eq!(
        test.views()[0].maintenance.as_ref().unwrap().id,
        "m1",
        "the one that ends last"
    );
    test.at(30);
    assert_eq!(test.active(), ["api", "shop"]);
    // A service that a reload adds to the group is in maintenance at once.
    let text = format!("{SERVICES}  - {{ key: cart, group: web, port: 4 }}");
    test.apply(&config::parse(&text, "test.yml").unwrap().config);
    assert_eq!(test.active(), ["api", "shop", "cart"]);
}

#[test]
fn wrong_requests_are_rejected_with_advice() {
    let test = TestManager::start(
        0,
        None,
        "maintenance: [{ name: nightly, cron: '0 0 * * *', for: 1h, services: [db] }]",
    );
    let all = |services: &[&str]| Scope {
        all: true,
        ..self::services(services)
    };
    for (result, expected) in [
        (
            test.start_window(services(&["appi"]), 60),
            "unknown service appi: did you mean api?",
        ),
        (
            test.start_window(group("webs"), 60),
            "unknown group webs: did you mean web?",
        ),
        (
            test.start_window(services(&[]), 60),
            "name services, or groups with --group, or use --all",
        ),
        (
            test.start_window(all(&["api"]), 60),
            "name services, or groups with --group, or use --all",
        ),
        (
            test.start_window(services(&["api"]), 0),
            "0s is out of range: write 1s to 31d",
        ),
        (
            test.start_window(services(&["api"]), 32 * 86_400),
            "4w4d is out of range: write 1s to 31d",
        ),
        (
            test.end("m1"),
            "no maintenance window or service m1: run maintenance list to see the windows",
        ),
        (
            test.end("appi"),
            "no maintenance window or service appi: did you mean api?",
        ),
        (test.end("api"), "api is not in maintenance"),
        (
            test.end("nightly"),
            "nightly is a window of the configuration file: change the file and reload the exporter",
        ),
        (
            test.end("db"),
            "db is in maintenance because of the window nightly of the configuration file: change the file and reload \
             the exporter",
        ),
    ] {
        assert_eq!(result.unwrap_err(), expected);
    }
    test.start_window(group("web"), 60).unwrap();
    assert_eq!(
        test.end("shop").unwrap_err(),
        "shop is in maintenance because of the window m1, which is for more services: use m1 instead of shop"
    );
    let too_long = test.extend("m1", 31 * 86_400).unwrap_err();
    assert_eq!(
        too_long,
        "a window ends at most 31d from now: write a shorter time"
    );
    let request = Request::Start {
        scope: services(&["api"]),
        seconds: 60,
        reason: "  ".to_owned(),
    };
    assert!(
        test.manager
            .handle(&request, "ops")
            .unwrap_err()
            .contains("write a reason")
    );
}

#[test]
fn a_window_is_ended_and_extended_by_id_or_by_service() {
    let test = TestManager::start(0, None, "");
    test.start_window(services(&["api", "db"]), 60).unwrap();
    test.start_window(services(&["shop"]), 60).unwrap();
    assert_eq!(
        test.extend("shop", 60).unwrap().windows[0].end,
        "2026-01-05T00:02:00Z"
    );
    let ended = test.end("api").unwrap().windows;
    assert_eq!(
        (ended[0].state, &*ended[0].scope.services),
        (WindowState::Ended, &["api".to_owned()][..])
    );
    assert_eq!(test.active(), ["shop", "db"], "only the named service");
    test.at(60);
    assert_eq!(test.active(), ["shop"]);
    test.end("m2").unwrap();
    assert_eq!(test.active(), [""; 0]);
    assert!(test.end("m2").is_err());
}

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
        let clock = Arc::new(TestClock {
            now: 0.into(),
            offset: 0.into(),
        });
        let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
        let (_, warning) = Manager::open(store, clock, Some(dir.path().to_owned()));
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
    let clock = Arc::new(TestClock {
        now: 0.into(),
        offset: 0.into(),
    });
    let (store, _) = Store::open(clock.clone(), Some(dir.path().to_owned())).unwrap();
    let (manager, warning) = Manager::open(store, clock, Some(dir.path().to_owned()));
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
        test.clock.now.store(second * SECOND, Ordering::SeqCst);
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while test.active() != expected {
            assert!(std::time::Instant::now() < limit, "at {second}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    drop(hanging);
}

#[test]
fn the_end_for_a_service_that_another_window_covers_is_reported() {
    let test = TestManager::start(0, None, "");
    let both = Scope {
        groups: vec!["web".to_owned()],
        ..services(&["api", "db"])
    };
    test.start_window(both, 60).unwrap();
    test.start_window(services(&["db", "db"]), 60).unwrap();
    let warnings = test.end("api").unwrap().warnings;
    assert_eq!(
        warnings[0],
        "api is still in maintenance because of the window m1"
    );
    assert_eq!(test.active(), ["api", "shop", "db"]);
    let response = test.end("db").unwrap();
    assert!(!response.warnings[0].contains("still"), "{response:?}");
    assert_eq!(test.active(), ["api", "shop"]);
    // No window without services remains.
    assert_eq!(test.list().len(), 1);
}

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
