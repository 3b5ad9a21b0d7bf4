//! Since when counters and histograms count, and native histograms.

use super::*;

fn apply(test: &TestStore, second: i64, checks: Vec<CheckSettings>) {
    test.clock.set(second);
    test.store.apply(&config(vec![("api", checks)]));
}

fn timed(response_time: u64) -> Outcome {
    TestStore::outcome(None, Some(Duration::from_millis(response_time)))
}

#[test]
fn counters_start_with_their_check_and_survive_a_reload() {
    let test = TestStore::new(&config(vec![("api", vec![check("a")])]));
    test.record(test.handle("api/a"), 5, timed(20));
    let edited = CheckSettings {
        interval: Duration::from_secs(30),
        ..check("a")
    };
    apply(&test, 100, vec![edited, check("b")]);
    let service = test.service();
    let starts = |second: f64| 1_000_000.0 + second;
    assert_eq!(service.counts_since, starts(0.0));
    assert_eq!(test.store.snapshot().exporter.started, starts(0.0));
    let [a, b] = &service.checks[..] else {
        panic!("two checks")
    };
    assert_eq!((a.counts_since, a.runs), (starts(0.0), 1));
    assert_eq!((b.counts_since, b.runs), (starts(100.0), 0));
    let times = |check: &CheckView| check.response_times.clone().unwrap();
    assert_eq!((times(a).start, times(a).count()), (starts(0.0), 1));
    assert_eq!(times(b).start, starts(100.0));
    assert_eq!(times(a).native, None);
}

#[test]
fn native_histograms_count_the_same_response_times() {
    let test = TestStore::new(&Config::default());
    test.store.enable_native_histograms();
    apply(&test, 0, vec![check("a")]);
    for (second, milliseconds) in [(5, 250), (10, 250), (15, 500)] {
        test.record(test.handle("api/a"), second, timed(milliseconds));
    }
    // A failed check has no response time.
    test.run("api/a", 20, REFUSED);
    let times = test.service().checks[0].response_times.clone().unwrap();
    assert_eq!(times.count(), 3);
    // Eight buckets for each power of two.
    assert_eq!(times.native.unwrap().buckets, [(-16, 2), (-8, 1)]);
}
