//! Tests of the manager with a real store and a clock that the tests control.

mod commands;
mod file;
mod windows;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::config::{self, Config};
use crate::store::test_clock::TestClock;
use crate::store::{ServiceView, Store};

/// The wall clock at second 0 of the tests: Monday, 5 January 2026, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;

const SERVICES: &str = "
services:
  - { key: api, group: web, port: 1 }
  - { key: shop, group: web, port: 2 }
  - { key: db, port: 3 }
";

/// A manager with its store and clock.
struct TestManager {
    clock: Arc<TestClock>,
    store: Arc<Store>,
    manager: Arc<Manager>,
}

impl TestManager {
    /// Starts an exporter, `second` seconds after the start of the test.
    fn start(second: i64, dir: Option<&Path>, windows: &str) -> Self {
        let clock = TestClock::new(0, MONDAY + second);
        let (store, warnings) = Store::open(clock.clone(), dir.map(Path::to_owned)).unwrap();
        assert_eq!(warnings, [""; 0]);
        let (manager, warning) = Manager::open(Arc::clone(&store), clock.clone(), store.state_dir());
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
        self.clock.set(second);
        self.manager.update();
    }

    /// Steps the wall clock.
    fn step(&self, seconds: i64) {
        self.clock.step(seconds);
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
