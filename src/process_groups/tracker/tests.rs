//! Tests of the tracker.

use proptest::prelude::*;

use super::*;
use crate::check::proc_scan::Identity;
use crate::process_groups::reading::{Memory, RunState, ThreadReading, Unreadable};

/// When the first scan begins, in clock ticks after boot.
const FIRST: u64 = 1000;

fn counts(ticks: u64) -> Counts {
    Counts {
        user_ticks: ticks,
        voluntary_switches: ticks,
        ..Counts::default()
    }
}

fn thread(id: i32, name: &str, ticks: u64) -> ThreadReading {
    ThreadReading {
        identity: (id, 1),
        name: name.to_owned(),
        counts: counts(ticks),
        state: RunState::Sleeping,
        wait_channel: Some("futex".to_owned()),
    }
}

fn reading(ticks: u64) -> Reading {
    Reading {
        counts: counts(ticks),
        memory: Memory {
            resident: 10,
            ..Memory::default()
        },
        open_fds: Some(5),
        max_fds: 10,
        thread_count: 1,
        state: RunState::Running,
        wait_channel: None,
        threads: Vec::new(),
        unreadable: Unreadable::default(),
        is_first: false,
    }
}

fn threaded(ticks: u64, threads: Vec<ThreadReading>) -> Reading {
    Reading {
        thread_count: threads.len() as u64,
        threads,
        ..reading(ticks)
    }
}

fn new(id: i32, start: u64, group: &str, reading: Reading) -> Seen {
    Seen {
        identity: (id, start),
        finding: Finding::New(group.into(), Arc::new(reading)),
    }
}

fn again(id: i32, start: u64, reading: Reading) -> Seen {
    Seen {
        identity: (id, start),
        finding: Finding::Read(Arc::new(reading)),
    }
}

fn seen(identity: Identity, finding: Finding) -> Seen {
    Seen { identity, finding }
}

fn tracker(limits: Limits) -> Tracker {
    Tracker::new(Switches::default(), limits)
}

fn record(tracker: &mut Tracker, seen: Vec<Seen>) {
    let sweep = Sweep {
        scans: tracker.known().scans,
        began_ticks: FIRST + tracker.known().scans * 100,
        boot_time: Some(5),
        seen,
        read_errors: 0,
    };
    tracker.record(sweep);
}

fn group<'t>(tracker: &'t Tracker, name: &str) -> &'t Group {
    let found = tracker.groups().into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no group {name}")).1
}

#[test]
fn counters_begin_at_the_first_sight() {
    let mut tracker = tracker(Limits::default());
    record(&mut tracker, vec![new(1, 1, "a", reading(500))]);
    assert_eq!(group(&tracker, "a").totals, Counts::default());
    // It started after the first scan, so everything it did counts.
    record(
        &mut tracker,
        vec![again(1, 1, reading(510)), new(2, FIRST + 50, "a", reading(7))],
    );
    assert_eq!(group(&tracker, "a").totals, counts(17));
    // It is older than the first scan, but matches only now.
    record(
        &mut tracker,
        vec![again(1, 1, reading(510)), new(3, 5, "a", reading(900))],
    );
    assert_eq!(group(&tracker, "a").totals, counts(17));
}

#[test]
fn groups_live_on_after_their_processes() {
    let mut tracker = tracker(Limits::default());
    record(&mut tracker, vec![]);
    record(
        &mut tracker,
        vec![
            new(1, FIRST + 1, "a", reading(5)),
            new(2, FIRST + 1, "b", reading(1)),
        ],
    );
    record(&mut tracker, vec![again(2, FIRST + 1, reading(1))]);
    assert_eq!(group(&tracker, "a").totals, counts(5));
    assert_eq!(group(&tracker, "a").current, Sums::default());
    // The same id with another start is another process.
    record(&mut tracker, vec![new(2, FIRST + 250, "a", reading(3))]);
    assert_eq!(group(&tracker, "a").totals, counts(8));
    assert_eq!(group(&tracker, "b").current.processes, 0);

    let mut forgetful = Tracker::new(
        Switches {
            remove_empty_groups: true,
            ..Switches::default()
        },
        Limits::default(),
    );
    record(&mut forgetful, vec![new(1, 1, "a", reading(5))]);
    record(&mut forgetful, vec![]);
    assert_eq!(forgetful.groups().len(), 0);
}

#[test]
fn threads_that_end_do_not_make_counters_fall() {
    let mut tracker = tracker(Limits::default());
    let first = threaded(100, vec![thread(1, "main", 50), thread(2, "worker", 30)]);
    record(&mut tracker, vec![new(1, 1, "a", first)]);
    let second = threaded(
        120,
        vec![
            thread(1, "main", 60),
            thread(2, "worker", 35),
            thread(3, "worker", 4),
        ],
    );
    record(&mut tracker, vec![again(1, 1, second)]);
    let found = group(&tracker, "a");
    assert_eq!(found.totals.user_ticks, 20);
    // A new thread counts for its process, but not for its name.
    assert_eq!(found.totals.voluntary_switches, 10 + 5 + 4);
    assert_eq!(found.threads["worker"].totals, counts(5));
    assert_eq!(
        (found.threads["main"].count, found.threads["worker"].count),
        (1, 2)
    );
    assert_eq!(found.current.wait_channels["futex"], 3);
    assert_eq!(found.current.states, [1, 3, 0, 0, 0]);

    record(
        &mut tracker,
        vec![again(
            1,
            1,
            Reading {
                counts: counts(61),
                ..reading(121)
            },
        )],
    );
    let found = group(&tracker, "a");
    assert_eq!(found.totals.user_ticks, 20);
    assert_eq!(found.totals.voluntary_switches, 20);
    assert_eq!(found.threads.len(), 0);
    let third = threaded(130, vec![thread(1, "main", 63), thread(4, "worker", 1)]);
    record(&mut tracker, vec![again(1, 1, third)]);
    let found = group(&tracker, "a");
    assert_eq!(found.totals.user_ticks, 30);
    assert_eq!(found.totals.voluntary_switches, 23);
    assert_eq!(found.threads["main"].totals, Counts::default());
}

#[test]
fn gauges_are_sums_and_the_worst_ratio() {
    let mut tracker = tracker(Limits::default());
    let crowded = Reading {
        open_fds: Some(9),
        ..reading(0)
    };
    let hidden = Reading {
        open_fds: None,
        unreadable: Unreadable {
            descriptors: true,
            ..Unreadable::default()
        },
        ..reading(0)
    };
    record(
        &mut tracker,
        vec![
            new(1, 300, "a", reading(0)),
            new(2, 200, "a", crowded),
            new(3, 400, "a", hidden),
        ],
    );
    let current = &group(&tracker, "a").current;
    assert_eq!((current.processes, current.threads, current.open_fds), (3, 3, 14));
    assert_eq!((current.memory.resident, current.oldest_start), (30, Some(200)));
    assert!((current.worst_fd_ratio - 0.9).abs() < 1e-9);
    assert_eq!(tracker.scan_counts().partial_errors, 1);
}

#[test]
fn a_process_that_can_not_be_read_keeps_its_values() {
    let mut tracker = tracker(Limits::default());
    record(
        &mut tracker,
        vec![
            new(1, 1, "a", reading(5)),
            seen((2, 1), Finding::NewWithout(Membership::Ignored)),
        ],
    );
    record(
        &mut tracker,
        vec![again(1, 1, reading(8)), seen((2, 1), Finding::Unchanged)],
    );
    record(
        &mut tracker,
        vec![seen((1, 1), Finding::Unchanged), seen((2, 1), Finding::Unchanged)],
    );
    record(
        &mut tracker,
        vec![again(1, 1, reading(9)), seen((2, 1), Finding::Unchanged)],
    );
    assert_eq!(group(&tracker, "a").totals, counts(4));
    assert_eq!(tracker.known().get(2, 1), Some(&Membership::Ignored));
    assert_eq!(tracker.known().get(2, 2), None);
}

#[test]
fn an_outdated_scan_is_not_recorded() {
    let mut tracker = tracker(Limits::default());
    record(&mut tracker, vec![new(1, 1, "a", reading(5))]);
    tracker.record(Sweep {
        scans: 0,
        began_ticks: FIRST,
        boot_time: Some(500),
        seen: vec![],
        read_errors: 3,
    });
    assert_eq!(group(&tracker, "a").current.processes, 1);
    assert_eq!((tracker.boot_time(), tracker.scan_counts().read_errors), (5, 0));
}

#[test]
fn groups_are_limited_and_those_without_processes_make_room() {
    let limits = Limits {
        groups: 2,
        thread_names: 1,
    };
    let mut tracker = tracker(limits);
    let names = vec![thread(1, "x", 0), thread(2, "y", 0)];
    record(
        &mut tracker,
        vec![
            new(1, 1, "a", threaded(0, names)),
            new(2, 1, "b", reading(0)),
            new(3, 1, "c", reading(0)),
            new(4, 1, "a", reading(0)),
        ],
    );
    assert_eq!(tracker.groups().len(), 2);
    assert_eq!(tracker.left_out(), (1, 1));
    assert_eq!(group(&tracker, "a").current.processes, 2);
    // The next scan does not read it, and the one after the end of b compares it with the rules again.
    let known = |tracker: &Tracker| tracker.known().get(3, 1).cloned();
    record(
        &mut tracker,
        vec![again(1, 1, reading(0)), seen((3, 1), Finding::Unchanged)],
    );
    assert_eq!(known(&tracker), Some(Membership::LeftOut));
    record(
        &mut tracker,
        vec![again(1, 1, reading(0)), seen((3, 1), Finding::Unchanged)],
    );
    assert_eq!(known(&tracker), None);
    record(
        &mut tracker,
        vec![again(1, 1, reading(0)), new(3, 1, "c", reading(0))],
    );
    let names: Vec<&str> = tracker.groups().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(
        (tracker.scan_counts().removed_groups, tracker.left_out()),
        (1, (0, 0))
    );
}

#[test]
fn names_of_threads_stay_limited_over_many_scans() {
    let limits = Limits {
        groups: 2,
        thread_names: 4,
    };
    let mut tracker = tracker(limits);
    let with_names = |id: i32| {
        let (x, y) = (format!("x{id}"), format!("y{id}"));
        threaded(0, vec![thread(10 * id, &x, 0), thread(10 * id + 1, &y, 0)])
    };
    record(
        &mut tracker,
        (1..=20).map(|id| new(id, 1, "a", with_names(id))).collect(),
    );
    for _ in 0..20 {
        assert_eq!(group(&tracker, "a").threads.len(), 4);
        assert_eq!(tracker.left_out(), (0, 36));
        record(
            &mut tracker,
            (1..=20).map(|id| again(id, 1, with_names(id))).collect(),
        );
    }
}

proptest! {
    /// Whatever processes and threads do, no counter of a group falls.
    #[test]
    fn counters_of_groups_never_fall(scans in proptest::collection::vec(
        proptest::collection::btree_map((1_i32..5, 0_u64..3), (0_u64..100, proptest::collection::btree_map(1_i32..5, 0_u64..100, 0..4)), 0..5),
        0..12,
    )) {
        let mut tracker = tracker(Limits::default());
        let mut last = Counts::default();
        for scan in scans {
            let known = tracker.known();
            let processes = scan.into_iter().map(|((id, start), (ticks, threads))| {
                let start = FIRST + start;
                let threads: Vec<_> = threads.into_iter().map(|(id, ticks)| thread(id, "t", ticks)).collect();
                let reading = if threads.len() > 1 { threaded(ticks, threads) } else { reading(ticks) };
                match known.get(id, start) {
                    Some(_) => again(id, start, reading),
                    None => new(id, start, "a", reading),
                }
            });
            let processes = processes.collect();
            record(&mut tracker, processes);
            if let Some((_, group)) = tracker.groups().first() {
                prop_assert_eq!(last.since(group.totals), Counts::default());
                last = group.totals;
            }
        }
    }
}
