//! Histories built by hand.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use upkeep_exporter::history::{Change, Reader, Recorder};
use upkeep_exporter::model::{CheckName, Clock, Moment, PastStatus, Reason, ServiceKey, Status};
use upkeep_exporter::store::{ResponseTotals, Snapshot};

use super::snapshots::NOW;

/// The time of all snapshots in milliseconds.
const NOW_MILLIS: i64 = NOW as i64 * 1000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A clock that stands still at the time of all snapshots.
struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn wall_nanos(&self) -> i64 {
        NOW_MILLIS * 1_000_000
    }

    fn moment(&self, _: Instant) -> Moment {
        Moment::default()
    }
}

/// Reads a history at the time of all snapshots.
pub fn reader(recorder: Recorder) -> Reader {
    Reader::of(recorder, Arc::new(Still))
}

/// Adds a time, which began so long ago.
fn add(recorder: &mut Recorder, key: &ServiceKey, status: PastStatus, ago: i64, length: i64) {
    let (record, capacity) = recorder.restore(key.clone());
    let from = NOW_MILLIS - ago;
    record.add(status, from, from + length, capacity);
}

/// Services whose bars differ from each other as much as possible, so that their strips are as long as they can be.
pub fn restless(snapshot: &Snapshot) -> Reader {
    let mut recorder = Recorder::default();
    for view in &snapshot.services {
        let key = &view.service.key;
        for day in (0..90).rev() {
            let statuses = [PastStatus::Down, PastStatus::Degraded];
            add(&mut recorder, key, statuses[day as usize % 2], day * DAY, MINUTE);
        }
        for half in (1..48).rev() {
            let statuses = [PastStatus::Down, PastStatus::Degraded];
            add(
                &mut recorder,
                key,
                statuses[half as usize % 2],
                half * HOUR / 2,
                MINUTE,
            );
        }
    }
    reader(recorder)
}

/// Each service as it usually is: up for weeks, with an outage, a maintenance and a restart of the exporter today.
pub fn usual(snapshot: &Snapshot) -> Reader {
    let mut recorder = Recorder::default();
    for (number, view) in (0_i64..).zip(&snapshot.services) {
        let key = &view.service.key;
        for day in (2..60 - number * 9).rev() {
            add(&mut recorder, key, PastStatus::Up, day * DAY, DAY - HOUR);
            if (day + number) % 11 == 0 {
                add(
                    &mut recorder,
                    key,
                    PastStatus::Down,
                    day * DAY - 23 * HOUR,
                    7 * MINUTE,
                );
            }
            if (day + number) % 17 == 0 {
                add(
                    &mut recorder,
                    key,
                    PastStatus::Degraded,
                    day * DAY - 23 * HOUR,
                    50 * MINUTE,
                );
            }
        }
        let today = [
            (PastStatus::Up, 48 * 60, 36 * 60),
            (PastStatus::Maintenance, 12 * 60, 90),
            (PastStatus::Up, 630, 150 + 20 * number),
            (PastStatus::Unknown, 300, 40),
            (PastStatus::Degraded, 250, 25),
            (PastStatus::Up, 225, 160),
            (PastStatus::Down, 65, 12),
            (PastStatus::Up, 53, 53),
        ];
        for (status, ago, minutes) in today {
            add(&mut recorder, key, status, ago * MINUTE, minutes * MINUTE);
        }
        let statuses = [
            (250, Status::Degraded, Some(Reason::Slow)),
            (225, Status::Up, None),
            (65, Status::Down, Some(Reason::Refused)),
            (53, Status::Up, None),
        ];
        for (ago, status, reason) in statuses {
            let (record, capacity) = recorder.restore(key.clone());
            let change = Change {
                at: NOW_MILLIS - ago * MINUTE,
                check: reason.map(|_| CheckName::new("tcp")),
                status,
                reason,
                in_maintenance: false,
            };
            record.restore_change(change, capacity);
        }
        for part in (0..290_i64).rev() {
            let at = NOW_MILLIS - part * 5 * MINUTE;
            // No response time while it was down.
            if (10..13).contains(&part) || (50..60).contains(&part) {
                continue;
            }
            let mut responses = ResponseTotals::default();
            for step in 0..10 {
                let slow = if part == 47 { 900 } else { 0 };
                let millis = 40 + (part * 7 + step * 13) % 30 + slow + part / 9;
                responses.add(Duration::from_millis(millis.unsigned_abs()));
            }
            let (record, capacity) = recorder.restore(key.clone());
            record.add_responses(&responses, at, capacity);
        }
    }
    reader(recorder)
}
