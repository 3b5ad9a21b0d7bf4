//! How much is kept of each service. All services together have one budget of memory, and the files are smaller than that.

use super::bucket::{Bucket, Step};
use super::change::Change;

/// The memory of all buckets and changes in bytes. The history of about 1,190 services fits completely.
pub const MAX_BYTES: usize = 48 * 1024 * 1024;

/// The maximum number of changes of a service.
pub const MAX_CHANGES: usize = 200;

/// Less room for a series than this makes it useless; another one is shortened first. In the order of the reductions.
const REDUCED: [(Part, usize); 6] = [
    (Part::Days, 91),
    (Part::Changes, 50),
    (Part::Hours, 49),
    (Part::Days, 31),
    (Part::FiveMinutes, 25),
    (Part::Days, 8),
];

/// How many buckets and changes of a service are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Buckets of each length, in the order of `Step::ALL`.
    pub buckets: [usize; Step::ALL.len()],
    /// Changes of the status.
    pub changes: usize,
}

#[derive(Clone, Copy)]
enum Part {
    FiveMinutes,
    Hours,
    Days,
    Changes,
}

impl Capacity {
    /// The complete history: each length for as long as it is kept, and the bucket in progress.
    pub fn complete() -> Self {
        let count = |step: Step| usize::try_from(step.kept_seconds() / step.seconds()).unwrap_or(0) + 1;
        Self {
            buckets: Step::ALL.map(count),
            changes: MAX_CHANGES,
        }
    }

    /// The most that fits for each of so many services. The oldest days go first, down to 90, then the oldest changes, then hours,
    /// and so on; see [`REDUCED`].
    pub fn of(services: usize, max_bytes: usize) -> Self {
        let each = max_bytes / services.max(1);
        let mut capacity = Self::complete();
        for (part, least) in REDUCED {
            let excess = capacity.bytes().saturating_sub(each);
            capacity.reduce(part, excess, least);
        }
        let excess = capacity.bytes().saturating_sub(each);
        if excess > 0 {
            // More than ten thousand services: shorten everything alike.
            let share = |count: usize| (count * each / capacity.bytes()).max(1);
            capacity = Self {
                buckets: capacity.buckets.map(share),
                changes: share(capacity.changes),
            };
        }
        capacity
    }

    fn reduce(&mut self, part: Part, excess: usize, least: usize) {
        let (count, size) = match part {
            Part::FiveMinutes => (&mut self.buckets[0], size_of::<Bucket>()),
            Part::Hours => (&mut self.buckets[1], size_of::<Bucket>()),
            Part::Days => (&mut self.buckets[2], size_of::<Bucket>()),
            Part::Changes => (&mut self.changes, size_of::<Change>()),
        };
        let reduced = count.saturating_sub(excess.div_ceil(size)).max(least);
        *count = reduced.min(*count);
    }

    /// The memory of one service with this many buckets and changes.
    pub fn bytes(&self) -> usize {
        self.buckets.iter().sum::<usize>() * size_of::<Bucket>() + self.changes * size_of::<Change>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(services: usize) -> [usize; 4] {
        let Capacity { buckets, changes } = Capacity::of(services, MAX_BYTES);
        [buckets[0], buckets[1], buckets[2], changes]
    }

    /// `docs/HISTORY.md` has these numbers.
    #[test]
    fn the_oldest_days_go_first() {
        assert_eq!(size_of::<Bucket>(), 40);
        assert!(size_of::<Change>() <= 32);
        assert!(
            Capacity::complete().bytes() <= 43_000,
            "{}",
            Capacity::complete().bytes()
        );
        assert_eq!(of(1), [301, 193, 401, 200]);
        assert_eq!(of(1000), [301, 193, 401, 200]);
        let [fine, hours, days, changes] = of(1500);
        assert!(days > 91 && days < 401, "{days}");
        assert_eq!([fine, hours, changes], [301, 193, 200]);
        let [fine, hours, days, changes] = of(2500);
        assert!(
            fine == 301 && hours > 49 && days == 91 && changes == 50,
            "{:?}",
            of(2500)
        );
        let [fine, hours, days, changes] = of(5000);
        assert!(
            fine > 25 && fine < 301 && hours == 49 && days == 31 && changes == 50,
            "{:?}",
            of(5000)
        );
    }

    /// `Recorder::reduce` takes an eighth.
    #[test]
    fn a_copy_that_is_too_large_costs_only_a_part_of_the_days() {
        let Capacity { buckets, changes } = Capacity::of(1150, MAX_BYTES / 8 * 7);
        assert!(buckets[2] > 250, "{buckets:?}");
        assert_eq!((buckets[0], buckets[1], changes), (301, 193, 200));
    }

    #[test]
    fn the_budget_holds_for_many_services() {
        for services in (0..20).map(|power| 3_usize.pow(power) % 100_000 + 1) {
            let bytes = Capacity::of(services, MAX_BYTES).bytes() * services;
            assert!(bytes <= MAX_BYTES, "{services} services: {bytes} bytes");
        }
    }
}
