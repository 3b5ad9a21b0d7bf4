//! The share of CPU time in use between two runs.

use crate::check::host_reads::CpuTicks;

/// The shortest time between two measurements, in CPU seconds of one core. Shorter times are a few clock ticks, so their shares jump.
const MIN_SECONDS: u64 = 1;

/// Computes the share of CPU time in use since the previous run.
#[derive(Debug, Default)]
pub struct CpuMeter {
    last: Option<CpuTicks>,
    ratio: Option<f64>,
}

impl CpuMeter {
    /// Adds a measurement of this many cores. Returns the share since the previous one. `None` at the first one. If the previous one is
    /// less than a second old, the share of the time before stays.
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub fn update(&mut self, now: CpuTicks, cores: u64) -> Option<f64> {
        let Some(last) = self.last else {
            self.last = Some(now);
            return None;
        };
        // The idle time can decrease (proc_stat(5)), and all times do when a core goes offline.
        let busy = now.busy.saturating_sub(last.busy);
        let idle = now.idle.saturating_sub(last.idle);
        let min = MIN_SECONDS * procfs::ticks_per_second() * cores.max(1);
        if now.busy < last.busy {
            self.last = Some(now);
        } else if busy + idle >= min {
            self.last = Some(now);
            self.ratio = Some(busy as f64 / (busy + idle) as f64);
        }
        self.ratio
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticks(busy: u64, idle: u64) -> CpuTicks {
        CpuTicks { busy, idle }
    }

    #[test]
    fn the_share_is_that_of_the_time_since_the_previous_run() {
        let mut meter = CpuMeter::default();
        assert_eq!(meter.update(ticks(1_000_000, 0), 2), None);
        assert_eq!(meter.update(ticks(1_000_300, 100), 2), Some(0.75));
        // Half a second later: too short to measure.
        assert_eq!(meter.update(ticks(1_000_400, 100), 2), Some(0.75));
        assert_eq!(meter.update(ticks(1_000_400, 400), 2), Some(0.25));
    }

    #[test]
    fn the_share_survives_clocks_that_go_backwards() {
        let mut meter = CpuMeter::default();
        meter.update(ticks(5000, 5000), 1);
        assert_eq!(meter.update(ticks(5100, 4900), 1), Some(1.0));
        assert_eq!(meter.update(ticks(100, 100), 1), Some(1.0));
        assert_eq!(meter.update(ticks(200, 400), 1), Some(0.25));
    }

    proptest! {
        #[test]
        fn it_is_a_share(measured in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..20), cores in 0_u64..300) {
            let mut meter = CpuMeter::default();
            for (busy, idle) in measured {
                let share = meter.update(ticks(busy.into(), idle.into()), cores);
                prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
            }
        }
    }
}
