//! A CPU counter over processes that come and go.

use std::collections::HashMap;

use crate::check::proc_scan::{Identity, Process};

/// CPU time of all processes that ever matched. A plain sum would fall whenever one of several ends, which Prometheus
/// would take for a restart of the counter; so what each process used since the look before is added up.
///
/// The first look counts what the processes have used since they started. So a restart of the exporter does not show in
/// the counter of a service whose processes still run. What a process used between the last look at it and its end is
/// not known, and missing.
#[derive(Debug, Default)]
pub struct CpuCounter {
    total_ticks: u64,
    /// What each process had used when it was last seen. A process that no longer matches (some write what they are doing
    /// into their command line) is kept while its id is in use, lest it be counted twice when it matches again.
    last_ticks: HashMap<Identity, u64>,
    is_started: bool,
}

impl CpuCounter {
    /// Takes note of the processes that match now, and of the ids of all that live now, in ascending order.
    pub fn update(&mut self, matching: &[Process], living: &[i32]) {
        self.is_started = true;
        for process in matching {
            let last = self.last_ticks.entry(process.identity).or_insert(0);
            // A multi-threaded process's sum can seem to fall by a tick between two reads.
            self.total_ticks = self
                .total_ticks
                .saturating_add(process.cpu_ticks.saturating_sub(*last));
            *last = process.cpu_ticks.max(*last);
        }
        self.last_ticks
            .retain(|(id, _), _| living.binary_search(id).is_ok());
    }

    /// The counter in clock ticks; `None` before the first look.
    pub fn ticks(&self) -> Option<u64> {
        self.is_started.then_some(self.total_ticks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process(id: i32, start: u64, cpu_ticks: u64) -> Process {
        Process {
            identity: (id, start),
            cpu_ticks,
            threads: 1,
            resident_pages: 1,
            open_fds: None,
            max_fds: None,
        }
    }

    fn look(counter: &mut CpuCounter, matching: &[Process]) -> u64 {
        let living: Vec<i32> = matching.iter().map(|process| process.identity.0).collect();
        counter.update(matching, &living);
        counter.ticks().unwrap()
    }

    #[test]
    fn begins_with_what_was_used_and_adds_what_is_used() {
        let mut counter = CpuCounter::default();
        assert_eq!(counter.ticks(), None);
        assert_eq!(look(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]), 150);
        assert_eq!(look(&mut counter, &[process(1, 1, 110), process(2, 1, 50)]), 160);
    }

    #[test]
    fn does_not_fall_when_a_process_ends_nor_stall_when_its_id_is_used_again() {
        let mut counter = CpuCounter::default();
        look(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]);
        assert_eq!(look(&mut counter, &[process(2, 1, 60)]), 160);
        assert_eq!(look(&mut counter, &[]), 160);
        assert_eq!(look(&mut counter, &[process(1, 9, 5)]), 165);
    }

    #[test]
    fn a_process_that_matches_now_and_then_is_counted_once() {
        let mut counter = CpuCounter::default();
        look(&mut counter, &[process(1, 1, 100)]);
        counter.update(&[], &[1]);
        assert_eq!(look(&mut counter, &[process(1, 1, 130)]), 130);
    }

    #[test]
    fn keeps_nothing_of_what_has_ended() {
        let mut counter = CpuCounter::default();
        look(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]);
        look(&mut counter, &[process(3, 1, 1)]);
        assert_eq!(counter.last_ticks.len(), 1);
    }

    proptest! {
        #[test]
        fn never_falls(looks in proptest::collection::vec(
            proptest::collection::btree_map((1_i32..6, 0_u64..3), 0_u64..1000, 0..5), 0..20)
        ) {
            let mut counter = CpuCounter::default();
            let mut last = 0;
            for seen in looks {
                let matching: Vec<Process> = seen.iter().map(|(id, ticks)| process(id.0, id.1, *ticks)).collect();
                let now = look(&mut counter, &matching);
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
