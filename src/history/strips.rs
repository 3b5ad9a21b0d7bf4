//! What the overview shows about the past of every service.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::Step;
use super::record::ServiceRecord;
use super::recorder::Recorder;
use crate::model::{Moment, Past, PastStrip, PastTotals, ServiceKey};
use crate::store::Fnv;

/// The marks of the last 24 hours: half hours.
const DAY_MARKS: u32 = 48;

/// How many five-minute buckets a half hour has.
const HALF_HOUR: u32 = 6;

/// The marks of the last 90 days: days.
const QUARTER_MARKS: u32 = 90;

/// At a new half hour or day, every strip moves by a mark, so every row of the overview changes. The rows do that one after the other in this
/// time, in seconds, so that an update with them stays small. Until then, the last mark covers a little more time.
const MOVING_SECONDS: u64 = 300;

/// What the overview shows, at one moment.
#[derive(Clone, Debug)]
pub struct Strips {
    /// The moment.
    pub taken: Moment,
    /// The past of each service.
    pub services: Arc<HashMap<ServiceKey, Arc<Past>>>,
}

impl Strips {
    /// Computes the strips at a moment, which is the Unix time `at` in milliseconds.
    pub fn new(recorder: &Recorder, taken: Moment, at: i64) -> Self {
        let services = recorder.services().iter();
        let services = services.map(|(key, record)| {
            let moved = at - delay(key);
            let past = Past {
                day: strip(record, Step::FiveMinutes, HALF_HOUR, DAY_MARKS, moved, at),
                quarter: strip(record, Step::Day, 1, QUARTER_MARKS, moved, at),
            };
            (key.clone(), Arc::new(past))
        });
        Self {
            taken,
            services: Arc::new(services.collect()),
        }
    }
}

/// How long after a new half hour or day the strip of a service moves, in milliseconds.
fn delay(key: &ServiceKey) -> i64 {
    let mut hash = Fnv::new();
    hash.write(key.as_str().as_bytes());
    i64::try_from(hash.finish() % MOVING_SECONDS).unwrap_or(0) * 1000
}

/// The last `marks` parts of `size` buckets each. The last one contains the time `moved`, and lasts until `at`.
fn strip(record: &ServiceRecord, step: Step, size: u32, marks: u32, moved: i64, at: i64) -> PastStrip {
    let last = step.index(moved) / size;
    let first = (last + 1).saturating_sub(marks);
    let mut parts = vec![PastTotals::default(); marks as usize];
    for bucket in record.series(step).range(first * size, step.index(at)) {
        let part = (bucket.index / size).min(last) - first;
        if let Some(part) = parts.get_mut(part as usize) {
            part.add(&bucket.totals(0));
        }
    }
    let mut totals = PastTotals::default();
    for (part, number) in parts.iter_mut().zip(first..) {
        let begin = step.begin(number * size);
        let end = match number == last {
            true => at,
            false => step.begin((number + 1) * size),
        };
        let known = part.millis.iter().sum::<u64>();
        part.no_data_millis = (end - begin).max(0).unsigned_abs().saturating_sub(known);
        totals.add(part);
    }
    let mut marks: Vec<_> = parts.iter().map(PastTotals::mark).collect();
    // The last part is not over, so what is known of it shows at once. Otherwise, a new service would have no bar for a quarter of an hour.
    if let (Some(mark), Some(part)) = (marks.last_mut(), parts.last()) {
        let known = PastTotals {
            no_data_millis: 0,
            ..*part
        };
        *mark = known.mark();
    }
    PastStrip { marks, totals }
}
