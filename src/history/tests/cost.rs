//! What the history of 1,000 services costs.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use super::super::encoding::encode_record;
use super::super::file::{HistoryFile, LOG_FILE};
use super::*;
use crate::config::tests_support::{check, config};
use crate::state_dir::StateDir;
use crate::store::Store;

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Even without optimisation, a minute of observations and its save take at most 1 % of a core.
#[test]
fn a_thousand_services_cost_one_percent_of_a_core() {
    let settings = check("kind: tcp, name: tcp, address: \"127.0.0.1:1\"");
    let keys: Vec<String> = (0..1000).map(|number| format!("service-{number}")).collect();
    let services = keys.iter().map(|key| (key.as_str(), vec![settings.clone()]));
    let clock = TestClock::new(0, BEGIN);
    let (store, _) = Store::open(clock.clone(), None).unwrap();
    store.apply(&config(services.collect()));
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let (mut file, _) = HistoryFile::open(StateDir::new(dir.path().to_owned()), &mut recorder);
    recorder.record(&store.observe());
    let begin = cpu_time();
    for second in 1..=60 {
        clock.set(second);
        recorder.record(&store.observe());
    }
    let unsaved = recorder.take_unsaved();
    file.append(&encode_record(&recorder, &unsaved)).unwrap();
    let spent = cpu_time() - begin;
    println!("a minute of 1,000 services takes {spent:?} of CPU time");
    assert!(spent < Duration::from_millis(600), "{spent:?}");
    let bytes = fs::metadata(dir.path().join(LOG_FILE)).unwrap().len();
    assert!(bytes < 40_000, "{bytes} bytes a minute");
}
