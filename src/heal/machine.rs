//! Whether the exporter or the machine lacks CPU time, memory or disk bandwidth. Then a failed check is probably not the service's
//! fault, and a restart makes the shortage worse.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{LostTime, Moment, Shortage};

/// The time over which lost time is summed up.
const WINDOW: Duration = Duration::from_secs(30);

/// The exporter is starved if it lost this much of the last 30 s.
const MAX_LOST: Duration = Duration::from_secs(3);

/// The files of pressure stall information, and the kind of line and the share of time in percent above which a restart would fail or
/// do harm. See docs.kernel.org/accounting/psi.html: `some` is the time in which at least one task waits, `full` the time in
/// which all do. CPUs are often busy without harm; memory that is reclaimed all the time is a machine that stands still.
const LIMITS: [(&str, &str, f64); 3] = [
    ("cpu", "some", 80.0),
    ("memory", "full", 10.0),
    ("io", "full", 50.0),
];

/// Measures the exporter and the machine.
#[derive(Debug)]
pub struct Machine {
    pressure: PathBuf,
    lost: Arc<LostTime>,
    /// The total lost time at past moments, oldest first.
    samples: VecDeque<(Moment, Duration)>,
}

impl Machine {
    /// A machine whose proc file system is at `procfs`.
    pub fn new(procfs: &Path, lost: Arc<LostTime>) -> Self {
        Self {
            pressure: procfs.join("pressure"),
            lost,
            samples: VecDeque::new(),
        }
    }

    /// Records the lost time at `now`. Returns the shortage of CPU time, if the exporter lost too much.
    pub fn shortage(&mut self, now: Moment) -> Option<Shortage> {
        let total = self.lost.total();
        while self
            .samples
            .front()
            .is_some_and(|(at, _)| now.since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, total));
        let before = self.samples.front().map_or(total, |(_, total)| *total);
        (total.saturating_sub(before) >= MAX_LOST).then_some(Shortage::Time)
    }

    /// The resource that the machine lacks. `None` also if the kernel does not report it.
    pub fn pressure(&self) -> Option<&'static str> {
        LIMITS.into_iter().find_map(|(resource, kind, limit)| {
            let text = fs::read_to_string(self.pressure.join(resource)).ok()?;
            (average(&text, kind)? >= limit).then_some(resource)
        })
    }
}

/// The average of the last 10 s in percent, of the line that begins with `kind`.
fn average(text: &str, kind: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
    line.split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn pressure_is_read_from_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::new(dir.path(), Arc::default());
        assert_eq!(machine.pressure(), None, "a kernel without it");
        fs::create_dir(dir.path().join("pressure")).unwrap();
        let write = |resource: &str, some: &str, full: &str| {
            let text = format!(
                "some avg10={some} avg60=99.00 avg300=99.00 total=1\nfull avg10={full} avg60=99.00 avg300=99.00 total=1\n"
            );
            fs::write(dir.path().join("pressure").join(resource), text).unwrap();
        };
        write("cpu", "79.99", "99.00");
        write("memory", "99.00", "9.99");
        write("io", "99.00", "49.99");
        assert_eq!(machine.pressure(), None);
        write("io", "99.00", "50.00");
        assert_eq!(machine.pressure(), Some("io"));
        write("memory", "99.00", "10.00");
        assert_eq!(machine.pressure(), Some("memory"));
        write("cpu", "80.00", "0.00");
        assert_eq!(machine.pressure(), Some("cpu"));
        fs::write(dir.path().join("pressure/cpu"), "some\nnonsense avg10=x").unwrap();
        assert_eq!(machine.pressure(), Some("memory"));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_time_counts_for_30_s() {
        let lost = Arc::new(LostTime::default());
        let mut machine = Machine::new(Path::new("/proc"), Arc::clone(&lost));
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        lost.record_timer(Instant::now(), Instant::now());
        assert_eq!(machine.shortage(at(0)), None);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(machine.shortage(at(3)), Some(Shortage::Time));
        lost.end();
        assert_eq!(machine.shortage(at(30)), Some(Shortage::Time));
        assert_eq!(machine.shortage(at(34)), None);
    }
}
