//! What is saved after each change: the copy and the services that changed since then have the state of all services.

use proptest::prelude::*;

use super::super::encoding::{decode_copy, encode_copy, encode_header, encode_record, replay};
use super::super::saved::{SavedChecks, SavedService};
use super::super::state::StoreState;
use super::*;
use crate::config::Service;
use crate::model::{CheckName, Shortage};
use crate::verdict::Debounced;

/// What can change the state.
#[derive(Clone, Debug)]
enum Change {
    /// A run of the check with this number, and its result.
    Run(usize, u8),
    /// So many seconds pass.
    Time(i64),
    /// The wall clock is set.
    Step(i64),
    /// Which services are in maintenance, as bits.
    Maintenance(u8),
    /// The configuration with this number is applied.
    Reload(usize),
}

const KEYS: [&str; 3] = ["api", "web", "db"];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => (0..4_usize, 0..5_u8).prop_map(|(check, result)| Change::Run(check, result)),
        4 => (1..40_i64).prop_map(Change::Time),
        1 => (590..700_i64).prop_map(Change::Time),
        1 => (-100..100_i64).prop_map(Change::Step),
        2 => (0..8_u8).prop_map(Change::Maintenance),
        1 => (0..3_usize).prop_map(Change::Reload),
    ]
}

/// Three services, of which each depends on the next one; the same without dependencies; and without the last service.
fn configs() -> [Config; 3] {
    let services = || {
        let checks = |key| {
            if key == "db" {
                vec!["tcp", "http"]
            } else {
                vec!["tcp"]
            }
        };
        config(
            KEYS.iter()
                .map(|key| (*key, checks(*key).into_iter().map(check).collect()))
                .collect(),
        )
    };
    let mut chain = services();
    for (service, next) in chain.services.iter_mut().zip(&KEYS[1..]) {
        *service = Arc::new(Service {
            depends_on: vec![ServiceKey::new(*next)],
            ..Service::clone(service)
        });
    }
    let mut short = services();
    short.services.pop();
    [chain, services(), short]
}

/// What a restart must not lose, apart from the times of runs, the evidence and problems.
type Important = Vec<(ServiceKey, String, Vec<(CheckName, u64, [Debounced; 2])>)>;

fn important<'a>(
    services: impl Iterator<Item = (&'a ServiceKey, &'a SavedService, SavedChecks)>,
) -> Important {
    let mut found: Important = services
        .map(|(key, service, checks)| {
            let mut checks: Vec<_> = checks
                .into_iter()
                .map(|(name, check)| {
                    let verdict = check.verdict;
                    let debounced = [verdict.grade.normalized(), verdict.slowness.normalized()];
                    (name, check.fingerprint, debounced)
                })
                .collect();
            checks.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
            (key.clone(), format!("{service:?}"), checks)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

fn important_of_store(state: &StoreState) -> Important {
    important(state.services.iter().map(|service| {
        let checks = service.checks.iter();
        let checks = checks.map(|check| (check.settings.name.clone(), check.saved.clone()));
        (&service.service.key, &service.saved, checks.collect())
    }))
}

/// The files, in memory.
#[derive(Default)]
struct Files {
    copy: Vec<u8>,
    log: Vec<u8>,
    /// The checksum of the last line of the log, or of the copy if there is no log.
    last: u64,
}

impl Files {
    /// Saves what changed. Returns whether that was a copy; `None` if nothing changed.
    fn save(&mut self, state: &mut StoreState, now: Moment) -> Option<bool> {
        if !state.needs_saving {
            return None;
        }
        if state.needs_copy {
            let wall = state.wall;
            (self.copy, self.last) = encode_copy(&state.take_all(), wall, now).unwrap();
            self.log.clear();
            return Some(true);
        }
        if self.log.is_empty() {
            let header = encode_header(self.last).unwrap();
            (self.log, self.last) = (header.bytes, header.checksum);
        }
        let wall = state.wall;
        let record = encode_record(self.last, &state.take_changed(), wall).unwrap();
        self.log.extend(record.bytes);
        self.last = record.checksum;
        Some(false)
    }

    fn read(&self, state: &StoreState, now: Moment) -> Important {
        let (mut saved, checksum) = decode_copy(&self.copy, state.wall, now).unwrap();
        if !self.log.is_empty() {
            replay(&self.log, checksum.unwrap(), &mut saved, state.wall, now).unwrap();
        }
        let services = saved.services.iter();
        important(services.map(|(key, service, checks)| (key, service, checks.clone())))
    }
}

fn apply(test: &TestStore, configs: &[Config], change: &Change) {
    let now = test.clock.now();
    match change {
        Change::Run(check, result) => {
            let handles = test.store.handles();
            let handle = handles[check % handles.len()].1;
            let mut outcome = TestStore::outcome((*result == 1).then_some(Reason::Refused), None);
            match result {
                2 => outcome.response_time = Some(Duration::from_secs(9)),
                3 => {
                    let problem = Problem::from_shortage(Shortage::Descriptors, "no descriptors");
                    outcome.conclusion = Conclusion::from(problem);
                }
                _ => outcome.response_time = Some(Duration::from_millis(1)),
            }
            let run = Run {
                started: now - Duration::from_millis(500),
                ended: now,
            };
            test.store.record(handle, run, outcome, 0);
        }
        Change::Time(seconds) => {
            test.clock.set(now.as_nanos() / SECOND + seconds);
            test.store.sweep();
        }
        Change::Step(seconds) => {
            test.clock.step(*seconds);
            test.store.sweep();
        }
        Change::Maintenance(bits) => {
            let window = Arc::new(Maintenance {
                id: "m1".to_owned(),
                started: 1_000_000.0,
                ends: 1_000_100.0,
                reason: "upgrade".to_owned(),
                by: None,
            });
            let active = KEYS.iter().enumerate().filter(|(bit, _)| bits & 1 << bit != 0);
            let active = active.map(|(_, key)| (ServiceKey::new(*key), Arc::clone(&window)));
            test.store.set_maintenance(active.collect(), BTreeMap::new());
        }
        Change::Reload(number) => test.store.apply(&configs[*number]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_files_have_the_state_after_every_change(changes in prop::collection::vec(change(), 1..60)) {
        let configs = configs();
        let test = TestStore::new(&configs[0]);
        let mut files = Files::default();
        let save = |files: &mut Files| {
            let now = test.clock.now();
            let mut state = test.store.shared.state();
            let saved = files.save(&mut state, now);
            (files.read(&state, now), important_of_store(&state), saved)
        };
        prop_assert_eq!(save(&mut files).2, Some(true), "the first save is a copy");
        for change in &changes {
            apply(&test, &configs, change);
            let (read, expected, _) = save(&mut files);
            prop_assert_eq!(read, expected, "after {:?}", change);
        }
    }
}

#[test]
fn a_record_has_only_the_services_that_changed() {
    let test = TestStore::new(&configs()[0]);
    for second in [5, 10] {
        for id in ["api/tcp", "web/tcp", "db/tcp", "db/http"] {
            test.run(id, second, None);
        }
    }
    let keys = |saved: &SavedState| -> Vec<String> {
        saved.services.iter().map(|(key, ..)| key.to_string()).collect()
    };
    let mut state = test.store.shared.state();
    assert!(state.needs_copy && state.needs_saving);
    assert_eq!(keys(&state.take_all()), KEYS);
    drop(state);
    for second in [15, 20] {
        test.run("web/tcp", second, None);
    }
    assert!(
        !test.store.shared.state().needs_saving,
        "only times of runs changed"
    );
    test.run("db/http", 25, REFUSED);
    // The services that depend on it are impacted.
    let mut state = test.store.shared.state();
    assert!(state.needs_saving && !state.needs_copy);
    assert_eq!(keys(&state.take_changed()), KEYS);
    drop(state);
    test.run("api/tcp", 30, REFUSED);
    let mut state = test.store.shared.state();
    assert_eq!(keys(&state.take_changed()), ["api"]);
    assert!(state.has_new_runs, "the times of other runs are not saved");
    assert_eq!(keys(&state.take_changed()), [""; 0]);
}
