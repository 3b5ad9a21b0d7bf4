//! What the recorder knows about the present of a service.

use std::sync::Arc;

use crate::model::{Maintenance, Moment, Status, WallAnchor};

/// How many spans of the current status are remembered. Only windows of maintenance divide them.
const MAX_SPANS: usize = 8;

/// What the recorder knows about the present of a service.
#[derive(Clone, Debug)]
pub struct Live {
    /// The status.
    pub status: Status,
    /// Since when it is recorded with this status.
    pub since: Moment,
    /// The maintenance window at the last observation.
    pub window: Option<Arc<Maintenance>>,
    /// When the service had this status, without maintenance. Oldest first, since the last step of the wall clock.
    pub spans: Vec<Span>,
}

/// From a moment until another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The begin.
    pub from: Moment,
    /// The end.
    pub until: Moment,
}

impl Span {
    /// The part of the span within another one; may be empty.
    pub fn within(self, other: Self) -> Self {
        let from = self.from.max(other.from);
        Self {
            from,
            until: self.until.min(other.until).max(from),
        }
    }

    /// Whether it has no length.
    pub fn is_empty(self) -> bool {
        self.until <= self.from
    }
}

/// The time that an observation covers.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// The last observation. `None` if there was none, or if it was too long ago: then nothing is known about the time since then.
    pub last: Option<Moment>,
    /// The observation.
    pub now: Moment,
    /// Converts moments to Unix times.
    pub wall: WallAnchor,
    /// Whether the wall clock was set since the last observation.
    pub was_set: bool,
}

impl Period {
    /// A moment as a Unix time in milliseconds.
    pub fn millis(&self, moment: Moment) -> i64 {
        self.wall.nanos(moment).div_euclid(1_000_000)
    }

    /// The moment of a Unix time in seconds.
    #[allow(clippy::cast_possible_truncation, reason = "the conversion saturates")]
    pub fn moment(&self, seconds: f64) -> Moment {
        self.wall.moment((seconds * 1e9) as i64)
    }
}

impl Live {
    /// Remembers a span with the current status.
    pub fn remember(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if last.until == span.from => last.until = span.until,
            _ => {
                if self.spans.len() == MAX_SPANS {
                    self.spans.remove(0);
                }
                self.spans.push(span);
            }
        }
    }
}
