//! Windows of commands: requests and their responses.

use super::{MONDAY, SERVICES, TestManager, group, services};
use crate::config;
use crate::maintenance::{Request, Scope, WindowState};

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
        ..super::services(services)
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
