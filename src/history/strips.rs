//! What the overview shows about the past of every service.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::Step;
use super::record::ServiceRecord;
use super::recorder::Recorder;
use crate::model::{Moment, Past, PastStrip, PastTotals, ServiceKey};

/// The marks of the last 24 hours: half hours.
const DAY_MARKS: u32 = 48;

/// How many five-minute buckets a half hour has.
const HALF_HOUR: u32 = 6;

/// The marks of the last 90 days: days.
const QUARTER_MARKS: u32 = 90;

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
            let past = Past {
                day: strip(record, Step::FiveMinutes, HALF_HOUR, DAY_MARKS, at),
                quarter: strip(record, Step::Day, 1, QUARTER_MARKS, at),
            };
            (key.clone(), Arc::new(past))
        });
        Self {
            taken,
            services: Arc::new(services.collect()),
        }
    }
}

/// The last `marks` parts of `size` buckets each. The last part is in progress.
fn strip(record: &ServiceRecord, step: Step, size: u32, marks: u32, at: i64) -> PastStrip {
    let last = step.index(at) / size;
    let first = (last + 1).saturating_sub(marks);
    let mut parts = vec![PastTotals::default(); marks as usize];
    for bucket in record.series(step).range(first * size, (last + 1) * size - 1) {
        if let Some(part) = parts.get_mut((bucket.index / size - first) as usize) {
            part.add(&bucket.totals(0));
        }
    }
    let mut totals = PastTotals::default();
    for (part, number) in parts.iter_mut().zip(first..) {
        let begin = step.begin(number * size);
        let end = step.begin((number + 1) * size).min(at);
        let known = part.millis.iter().sum::<u64>();
        part.no_data_millis = (end - begin).max(0).unsigned_abs().saturating_sub(known);
        totals.add(part);
    }
    PastStrip {
        marks: parts.iter().map(PastTotals::mark).collect(),
        totals,
    }
}
