//! A CPU counter over processes that start and end.

use std::collections::HashMap;

use crate::check::proc_scan::{Identity, Process};

/// CPU time of all processes that ever matched. A plain sum would fall when a process ends, and Prometheus would treat that
/// as a counter reset. So every scan adds what each process has used since the previous scan.
///
/// The first scan adds the CPU time since the start of the processes. So a restart of the exporter does not change the
/// counter while the processes run. The CPU time between the last scan of a process and its end is not counted.
#[derive(Debug, Default)]
pub struct CpuCounter {
    total_ticks: u64,
    /// The CPU time of each process at its last scan. A process that no longer matches stays here while its id is in use, so
    /// that it is not counted twice when it matches again. Some processes write their activity into their command line.
    last_ticks: HashMap<Identity, u64>,
    is_started: bool,
}

impl CpuCounter {
    /// Adds one scan: the matching processes, and the ids of all live processes in ascending order.
    pub fn update(&mut self, matching: &[Process], living: &[i32]) {
        self.is_started = true;
        for process in matching {
            let last = self.last_ticks.entry(process.identity).or_insert(0);
            // The sum of a multi-threaded process can fall by a tick between two reads.
            self.total_ticks = self
                .total_ticks
                .saturating_add(process.cpu_ticks.saturating_sub(*last));
            *last = process.cpu_ticks.max(*last);
        }
        self.last_ticks
            .retain(|(id, _), _| living.binary_search(id).is_ok());
    }

    /// The counter in clock ticks; `None` before the first scan.
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

    fn update(counter: &mut CpuCounter, matching: &[Process]) -> u64 {
        let living: Vec<i32> = matching.iter().map(|process| process.identity.0).collect();
        counter.update(matching, &living);
        counter.ticks().unwrap()
    }

    #[test]
    fn starts_with_the_time_used_so_far() {
        let mut counter = CpuCounter::default();
        assert_eq!(counter.ticks(), None);
        assert_eq!(
            update(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]),
            150
        );
        assert_eq!(
            update(&mut counter, &[process(1, 1, 110), process(2, 1, 50)]),
            160
        );
    }

    #[test]
    fn does_not_fall_when_a_process_ends_and_counts_a_reused_id() {
        let mut counter = CpuCounter::default();
        update(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]);
        assert_eq!(update(&mut counter, &[process(2, 1, 60)]), 160);
        assert_eq!(update(&mut counter, &[]), 160);
        assert_eq!(update(&mut counter, &[process(1, 9, 5)]), 165);
    }

    #[test]
    fn counts_a_process_once_that_matches_intermittently() {
        let mut counter = CpuCounter::default();
        update(&mut counter, &[process(1, 1, 100)]);
        counter.update(&[], &[1]);
        assert_eq!(update(&mut counter, &[process(1, 1, 130)]), 130);
    }

    #[test]
    fn drops_processes_that_have_ended() {
        let mut counter = CpuCounter::default();
        update(&mut counter, &[process(1, 1, 100), process(2, 1, 50)]);
        update(&mut counter, &[process(3, 1, 1)]);
        assert_eq!(counter.last_ticks.len(), 1);
    }

    proptest! {
        #[test]
        fn never_falls(scans in proptest::collection::vec(
            proptest::collection::btree_map((1_i32..6, 0_u64..3), 0_u64..1000, 0..5), 0..20)
        ) {
            let mut counter = CpuCounter::default();
            let mut last = 0;
            for seen in scans {
                let matching: Vec<Process> = seen.iter().map(|(id, ticks)| process(id.0, id.1, *ticks)).collect();
                let now = update(&mut counter, &matching);
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
