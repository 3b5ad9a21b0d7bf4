//! Status changes as numbered server-sent events. The latest ones are stored, so that a client that reconnects gets what it
//! missed (WHATWG HTML, section 9.2.3).

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::html;
use crate::store::StatusEvent;

/// How many changes are stored for clients that reconnect.
pub(super) const MAX_STORED: usize = 256;
/// How long a client waits before it reconnects, in milliseconds.
const RETRY: u32 = 2000;

/// The latest status changes.
#[derive(Debug)]
pub(super) struct EventLog {
    /// Identifies this process in event ids: numbers start again in every process.
    epoch: u64,
    stored: VecDeque<(u64, String)>,
    last_number: u64,
}

impl EventLog {
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            epoch: u64::try_from(since_epoch.as_micros()).unwrap_or_default(),
            stored: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Numbers and stores a change. Returns its event.
    pub fn record(&mut self, change: &StatusEvent) -> &str {
        self.last_number += 1;
        let problem = change.problem.as_deref();
        let data = serde_json::json!({
            "service": change.service.as_str(),
            "old": change.old.as_str(),
            "new": change.new.as_str(),
            "since": html::rfc3339(change.since),
            "check": change.check.as_ref().map(|check| check.as_str()),
            "reason": problem.map(|problem| problem.reason.as_str()),
            "message": problem.map(|problem| problem.message()),
        });
        let event = format!("id: {}\nevent: status\ndata: {data}\n\n", self.last_id());
        if self.stored.len() == MAX_STORED {
            self.stored.pop_front();
        }
        self.stored.push_back((self.last_number, event));
        self.stored.back().map_or("", |(_, event)| event)
    }

    /// Records that `count` changes were lost. They take up numbers too, so that clients see the gap. Returns the event.
    pub fn record_lost(&mut self, count: u64) -> String {
        self.last_number += count;
        self.stored.clear();
        lost_event(count)
    }

    /// Renders the beginning of a stream: the changes since `last_event_id`, the last event that the client received.
    pub fn render_missed(&self, last_event_id: Option<&str>) -> String {
        let last = self.last_number;
        let known_number = last_event_id.and_then(|id| {
            let (epoch, number) = id.split_once('-')?;
            (epoch == format!("{:x}", self.epoch)).then(|| number.parse::<u64>().ok())?
        });
        let known = match (known_number, last_event_id) {
            // A future number is an error of the client.
            (Some(number), _) => number.min(last),
            // From an earlier process: the client has missed everything in this one.
            (None, Some(_)) => 0,
            (None, None) => last,
        };
        let mut text = format!("retry: {RETRY}\n");
        let oldest = self.stored.front().map_or(last + 1, |(number, _)| *number);
        if known + 1 < oldest {
            text.push_str(&lost_event(oldest - known - 1));
        }
        for (_, event) in self.stored.iter().filter(|(number, _)| *number > known) {
            text.push_str(event);
        }
        // The client stores an id without data, and dispatches no event.
        let _ = write!(text, "id: {}\n\n", self.last_id());
        text
    }

    fn last_id(&self) -> String {
        format!("{:x}-{}", self.epoch, self.last_number)
    }
}

/// The event about changes that are no longer stored.
fn lost_event(count: u64) -> String {
    format!("event: lost\ndata: {{\"events\":{count}}}\n\n")
}
