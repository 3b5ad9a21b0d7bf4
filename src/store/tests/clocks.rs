//! What a suspended machine, a stopped process and steps of the wall clock make of since-times and statuses: nothing moves
//! forward, nothing looks fresher or older than it is.

use super::*;

const HOUR: i64 = 3600;

/// What a scrape shows of the first service: its since-times, less the time of the scrape.
fn ages(bench: &Bench) -> [f64; 3] {
    let snapshot = bench.store.snapshot();
    let conditions = snapshot.services[0].conditions.unwrap();
    conditions.map(|since| if since == 0.0 { 0.0 } else { snapshot.taken - since })
}

/// A service that is down since second 9, scraped at second 20.
fn down() -> Bench {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 5, None);
    bench.run("api/http", 10, REFUSED);
    bench.clock.set(20);
    assert_eq!(ages(&bench), [11.0, 11.0, 0.0]);
    bench
}

/// Our clock goes on while the machine is suspended, or the process is stopped; so does the wall clock.
#[test]
fn a_suspension_is_a_gap() {
    let bench = down();
    let since = bench.down();
    bench.clock.set(20 + 8 * HOUR);
    let service = bench.service();
    assert_eq!(bench.down(), since, "no since-time moves forward");
    assert_eq!(service.status, Status::Unknown, "the result is eight hours old");
    assert_eq!(service.checks[0].last_ended, Some(1_000_010.0));
    // The network is not there yet: the condition goes on, with the since-time it had.
    bench.run("api/http", 30 + 8 * HOUR, REFUSED);
    assert_eq!((bench.service().status, bench.down()), (Status::Down, since));
    let is_confirmed = || bench.service().confirmed.unwrap()[Condition::Down as usize];
    assert!(!is_confirmed(), "eight hours that nobody watched are no evidence");
    bench.run("api/http", 55 + 8 * HOUR, REFUSED);
    assert_eq!((is_confirmed(), bench.down()), (true, since));
    bench.run("api/http", 60 + 8 * HOUR, None);
    bench.run("api/http", 65 + 8 * HOUR, None);
    assert_eq!((bench.service().status, bench.down()), (Status::Up, Some(0.0)));
}

#[test]
fn a_service_that_was_up_is_unknown_after_a_suspension_and_has_no_condition() {
    let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
    bench.run("api/http", 5, None);
    bench.clock.set(5 + HOUR);
    bench.store.sweep();
    let service = bench.service();
    assert_eq!(
        (service.status, service.conditions),
        (Status::Unknown, Some([0.0; 3]))
    );
    bench.run("api/http", 10 + HOUR, None);
    let service = bench.service();
    assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
}

#[test]
fn steps_of_the_wall_clock_change_no_age() {
    for step in [HOUR, -HOUR, 2, -2, 400 * 24 * HOUR] {
        let bench = down();
        bench.clock.offset.fetch_add(step * SECOND, Ordering::SeqCst);
        let snapshot = bench.store.snapshot();
        assert_eq!(
            snapshot.taken,
            (1_000_020 + step) as f64,
            "the new wall clock's time"
        );
        assert_eq!(ages(&bench), [11.0, 11.0, 0.0], "after a step of {step} s");
        let service = bench.service();
        assert_eq!(service.status, Status::Down, "after a step of {step} s");
        assert_eq!(service.status_since, Some((1_000_009 + step) as f64));
        bench.run("api/http", 25, REFUSED);
        assert_eq!(ages(&bench), [16.0, 16.0, 0.0]);
        assert_eq!(
            bench.service().confirmed,
            Some([false; 3]),
            "a step is no evidence"
        );
        // And back again.
        bench.clock.offset.fetch_sub(step * SECOND, Ordering::SeqCst);
        assert_eq!((ages(&bench), bench.down()), ([16.0, 16.0, 0.0], Some(9.0)));
    }
}

#[test]
fn a_step_makes_no_healthy_service_anything_else() {
    for step in [HOUR, -HOUR] {
        let bench = Bench::new(&config(vec![("api", vec![check("http")])]));
        bench.run("api/http", 5, None);
        bench.clock.offset.fetch_add(step * SECOND, Ordering::SeqCst);
        bench.store.sweep();
        let service = bench.service();
        assert_eq!((service.status, service.conditions), (Status::Up, Some([0.0; 3])));
        assert_eq!(service.status_changes, 0);
    }
}

/// A clock of a process that is stopped for ten minutes between its readings of the two clocks, as often as it is asked to.
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
fn a_stop_between_two_readings_of_the_clocks_is_no_step() {
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
        store.record(handle, run, Bench::outcome(REFUSED, None), 0);
        clock.stops.store(stops, Ordering::SeqCst);
        let since = store.snapshot().services[0].conditions.unwrap()[0];
        assert_eq!(since, 1_000_009.0, "stopped {stops} times");
    }
}
