//! How an observation becomes time in buckets.
//!
//! A change of status has a since-time, which may be minutes before the run that confirmed it. So the time since then was recorded with the
//! old status. The spans of the current status are remembered, so that exactly this time gets the new status.

use super::budget::Capacity;
use super::change::Change;
use super::live::{Live, Period, Span};
use super::record::ServiceRecord;
use crate::model::{Moment, PastStatus, Status};
use crate::store::ServiceObservation;

impl ServiceRecord {
    /// Records an observation.
    pub fn observe(&mut self, observed: &ServiceObservation, period: &Period, capacity: &Capacity) {
        let live = self.live.take().filter(|_| period.last.is_some());
        // Nothing is known about the time before.
        let begin = period.last.filter(|_| live.is_some()).unwrap_or(period.now);
        let mut live = live.unwrap_or_else(|| Live {
            status: observed.status,
            since: begin,
            window: observed.maintenance.clone(),
            spans: Vec::new(),
        });
        if period.was_set {
            live.spans.clear();
        }
        let whole = Span {
            from: begin,
            until: period.now,
        };
        let maintained = maintained(&live, observed, whole, period);
        let mut cursor = begin;
        for change in &observed.changes {
            let since = change.since.clamp(live.since, period.now);
            if since > cursor {
                let span = Span {
                    from: cursor,
                    until: since,
                };
                self.add_span(&mut live, span, maintained, period, capacity);
                cursor = since;
            }
            self.change_spans(&mut live, since, change.status, period, capacity);
            let is_known = observed.has_verdict || change.status != Status::Unknown;
            if is_known {
                let started = observed.maintenance.as_ref().map(|window| window.started);
                let change = Change {
                    at: self.at_last(change.since, period),
                    check: change.check.clone(),
                    status: change.status,
                    reason: change.reason,
                    // Otherwise the window began later.
                    in_maintenance: started.is_some_and(|started| period.moment(started) <= change.since),
                };
                self.add_change(change, capacity);
            }
        }
        // Differs only if the store dropped changes, because there were too many.
        if live.status != observed.status {
            live.status = observed.status;
            live.since = cursor;
            live.spans.clear();
        }
        let rest = Span {
            from: cursor,
            until: period.now,
        };
        self.add_span(&mut live, rest, maintained, period, capacity);
        self.divide_incident(&live, observed, period, capacity);
        live.window.clone_from(&observed.maintenance);
        self.live = Some(live);
        self.add_responses(&observed.responses, period.millis(period.now), capacity);
    }

    /// The time of a change in milliseconds. It is not before the previous change, as in the buckets. That one is in the future if the clock
    /// was set back.
    fn at_last(&self, moment: Moment, period: &Period) -> i64 {
        let at = period.millis(moment);
        let before = self.changes().next_back().map_or(at, |last| last.at);
        at.max(before).min(period.millis(period.now))
    }

    /// Adds a change when maintenance begins or ends while the service is not up. Its outage counts only outside of maintenance.
    fn divide_incident(
        &mut self,
        live: &Live,
        observed: &ServiceObservation,
        period: &Period,
        capacity: &Capacity,
    ) {
        let in_maintenance = observed.maintenance.is_some();
        let Some(last) = self.changes().next_back() else {
            return;
        };
        let is_divided = last.status == observed.status && last.in_maintenance != in_maintenance;
        if observed.status == Status::Up || !is_divided {
            return;
        }
        let boundary = match (&observed.maintenance, &live.window) {
            (Some(window), _) => period.moment(window.started),
            // A person may have ended it early; that was just now.
            (None, Some(window)) => period.moment(window.ends).min(period.now),
            // It ended while the exporter did not run.
            (None, None) => period.now,
        };
        let change = Change {
            at: self.at_last(boundary, period),
            in_maintenance,
            ..last.clone()
        };
        self.push_change(change, capacity);
    }

    /// Adds a span with the current status. A part of it may be in maintenance.
    fn add_span(
        &mut self,
        live: &mut Live,
        span: Span,
        maintained: Span,
        period: &Period,
        capacity: &Capacity,
    ) {
        let during = span.within(maintained);
        let before = Span {
            until: during.from.max(span.from).min(span.until),
            ..span
        };
        let after = Span {
            from: during.until.max(span.from),
            ..span
        };
        let plain = match during.is_empty() {
            true => [
                span,
                Span {
                    from: span.until,
                    ..span
                },
            ],
            false => [before, after],
        };
        for part in plain.into_iter().filter(|part| !part.is_empty()) {
            let (from, until) = (period.millis(part.from), period.millis(part.until));
            self.add(live.status.into(), from, until, capacity);
            live.remember(part);
        }
        if !during.is_empty() {
            let (from, until) = (period.millis(during.from), period.millis(during.until));
            self.add(PastStatus::Maintenance, from, until, capacity);
        }
    }

    /// Changes the status since a moment.
    fn change_spans(
        &mut self,
        live: &mut Live,
        since: Moment,
        status: Status,
        period: &Period,
        capacity: &Capacity,
    ) {
        let later = Span {
            from: since,
            until: period.now,
        };
        let spans = std::mem::take(&mut live.spans).into_iter();
        live.spans = spans
            .map(|span| span.within(later))
            .filter(|span| !span.is_empty())
            .collect();
        for span in &live.spans {
            let (from, until) = (period.millis(span.from), period.millis(span.until));
            self.change(live.status.into(), status.into(), from, until, capacity);
        }
        live.status = status;
        live.since = since;
    }
}

/// The part of a span in which the service was in maintenance.
fn maintained(live: &Live, observed: &ServiceObservation, whole: Span, period: &Period) -> Span {
    let none = Span {
        from: whole.until,
        ..whole
    };
    let clamp = |seconds: f64| period.moment(seconds).clamp(whole.from, whole.until);
    match (&live.window, &observed.maintenance) {
        (None, None) => none,
        (Some(_), Some(_)) => whole,
        (None, Some(window)) => Span {
            from: clamp(window.started),
            ..whole
        },
        // A person may have ended it early; that was just now.
        (Some(window), None) => Span {
            until: clamp(window.ends),
            ..whole
        },
    }
}
