//! Suspended machines, stopped processes and steps of the wall clock. No since-time moves forward, and no result looks fresher or
//! older than it is.

use std::sync::atomic::AtomicI64;

use tokio::time::Instant;

use super::*;

const HOUR: i64 = 3600;

/// The time from the since-times of the first service to the scrape.
fn ages(test: &TestStore) -> [f64; 3] {
    let snapshot = test.store.snapshot();
    let conditions = snapshot.services[0].conditions.unwrap();
    conditions.map(|since| if since == 0.0 { 0.0 } else { snapshot.taken - since })
}

/// A service that has been down since second 9. The time is second 20.
fn down() -> TestStore {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, None);
    test.run("api/http", 10, REFUSED);
    test.clock.set(20);
    assert_eq!(ages(&test), [11.0, 11.0, 0.0]);
    test
}

/// Both clocks run on while the machine is suspended or the process is stopped.
#[test]
fn since_times_stay_over_a_suspension() {
    let test = down();
    let since = test.down();
    test.clock.set(20 + 8 * HOUR);
    let service = test.service();
    assert_eq!(test.down(), since, "no since-time moves forward");
    assert_eq!(service.status, Status::Unknown, "the result is eight hours old");
    assert_eq!(service.checks[0].last_ended, Some(1_000_010.0));
    // The network is not up yet. The condition lasts, with the same since-time.
    test.run("api/http", 30 + 8 * HOUR, REFUSED);
    assert_eq!((test.service().status, test.down()), (Status::Down, since));
    let is_confirmed = || test.service().confirmed.unwrap()[Condition::Down as usize];
    assert!(
        !is_confirmed(),
        "eight hours without runs do not count as evidence"
    );
    test.run("api/http", 55 + 8 * HOUR, REFUSED);
    assert_eq!((is_confirmed(), test.down()), (true, since));
    test.run("api/http", 60 + 8 * HOUR, None);
    test.run("api/http", 65 + 8 * HOUR, None);
    assert_eq!((test.service().status, test.down()), (Status::Up, Some(0.0)));
}

#[test]
fn a_service_that_was_up_is_unknown_after_a_suspension() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 5, None);
    test.clock.set(5 + HOUR);
    test.store.sweep();
    let service = test.service();
    assert_eq!(
        (service.status, service.conditions),
        (Status::Unknown, Some([0.0; 3]))
    );
    test.run("api/http", 10 + HOUR, None);
    let service = test.service();
    assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
}

#[test]
fn steps_of_the_wall_clock_change_no_age() {
    for step in [HOUR, -HOUR, 2, -2, 400 * 24 * HOUR] {
        let test = down();
        test.clock.offset.fetch_add(step * SECOND, Ordering::SeqCst);
        let snapshot = test.store.snapshot();
        assert_eq!(
            snapshot.taken,
            (1_000_020 + step) as f64,
            "the new wall clock's time"
        );
        assert_eq!(ages(&test), [11.0, 11.0, 0.0], "after a step of {step} s");
        let service = test.service();
        assert_eq!(service.status, Status::Down, "after a step of {step} s");
        assert_eq!(service.status_since, Some((1_000_009 + step) as f64));
        test.run("api/http", 25, REFUSED);
        assert_eq!(ages(&test), [16.0, 16.0, 0.0]);
        assert_eq!(
            test.service().confirmed,
            Some([false; 3]),
            "a clock step does not count as evidence"
        );
        // The step back changes no age either.
        test.clock.offset.fetch_sub(step * SECOND, Ordering::SeqCst);
        assert_eq!((ages(&test), test.down()), ([16.0, 16.0, 0.0], Some(9.0)));
    }
}

#[test]
fn a_step_of_the_wall_clock_does_not_change_a_healthy_service() {
    for step in [HOUR, -HOUR] {
        let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
        test.run("api/http", 5, None);
        test.clock.offset.fetch_add(step * SECOND, Ordering::SeqCst);
        test.store.sweep();
        let service = test.service();
        assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
        assert_eq!(service.status_changes, 0);
    }
}

/// The clock of a process that is stopped for ten minutes between the readings of the two clocks, `stops` times.
struct Interrupted {
    clock: Arc<TestClock>,
    stops: AtomicI64,
}

impl Clock for Interrupted {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall_nanos(&self) -> i64 {
        let wall = self.clock.wall_nanos();
        if self.stops.load(Ordering::SeqCst) > 0 {
            self.stops.fetch_sub(1, Ordering::SeqCst);
            self.clock.now.fetch_add(600 * SECOND, Ordering::SeqCst);
        }
        wall
    }

    fn moment(&self, instant: Instant) -> Moment {
        self.clock.moment(instant)
    }
}

#[test]
fn a_stop_between_the_readings_of_both_clocks_is_not_a_step() {
    for stops in [1, 3, 100] {
        let clock = Arc::new(Interrupted {
            clock: clock(0),
            stops: 0.into(),
        });
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        store.apply(&config(vec![("api", vec![check("http")])]));
        let (_, handle, _) = store.handles().remove(0);
        let run = Run {
            started: Moment::from_nanos(9 * SECOND),
            ended: Moment::from_nanos(10 * SECOND),
        };
        clock.clock.set(10);
        store.record(handle, run, TestStore::outcome(REFUSED, None), 0);
        clock.stops.store(stops, Ordering::SeqCst);
        let since = store.snapshot().services[0].conditions.unwrap()[0];
        assert_eq!(since, 1_000_009.0, "stopped {stops} times");
    }
}

#[test]
fn since_times_change_only_if_the_wall_clock_jumps() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    test.run("api/http", 10, REFUSED);
    test.clock.offset.fetch_add(400_000_000, Ordering::SeqCst);
    assert_eq!(test.down(), Some(9.0));
    let generation = test.store.generation();
    test.clock.offset.fetch_add(3600 * SECOND, Ordering::SeqCst);
    let snapshot = test.store.snapshot();
    assert_ne!(test.store.generation(), generation);
    assert_eq!(snapshot.taken, 1_003_610.4);
    assert_eq!(snapshot.services[0].conditions.unwrap()[0], 1_003_609.4);
}
