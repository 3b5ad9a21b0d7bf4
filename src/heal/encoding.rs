//! The content of the history file, as JSON.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::backoff::BackoffState;
use super::history::{Attempt, History, LastAction, Pause, Pending, ServiceHistory};
use super::record::{HealEvent, HealRecord, MAX_DECISIONS};
use super::time_anchor::{FileOffsets, TimeAnchor};
use crate::model::{CheckName, Moment, Reason, ServiceKey};

/// The format's name in the file.
const FORMAT: &str = "upkeep_exporter heal history";

/// The version that is written and read.
const VERSION: u32 = 1;

/// The content of a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is truncated, or not such a file at all.
    #[error("it is incomplete or not a file of heal histories: {0}")]
    Incomplete(#[from] serde_json::Error),
    /// It has another format.
    #[error("it is not a file of heal histories")]
    Format,
    /// It has an unsupported version.
    #[error("it has version {0} of the format; supported: {VERSION}")]
    Version(u32),
    /// It has an unknown event or reason.
    #[error("it has the unknown value \"{0}\"")]
    Value(String),
}

#[derive(Deserialize)]
struct Header {
    format: Option<String>,
    version: Option<u32>,
}

/// Times are nanoseconds since the machine booted.
#[derive(Serialize, Deserialize)]
struct FileEntry {
    format: String,
    version: u32,
    boot_id: String,
    written: i64,
    written_unix: i64,
    pause: Option<PauseEntry>,
    last_storm: Option<i64>,
    lost_until: Option<i64>,
    services: BTreeMap<String, ServiceEntry>,
}

#[derive(Serialize, Deserialize)]
struct ServiceEntry {
    attempts: Vec<(i64, bool)>,
    pending: Option<(i64, Option<i64>)>,
    unhelpful: u32,
    backoff: (u32, Option<i64>),
    dry_backoff: (u32, Option<i64>),
    counts_from: Option<i64>,
    pause: Option<PauseEntry>,
    actions: u64,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    last_action: Option<(i64, String)>,
    records: Vec<RecordEntry>,
}

#[derive(Serialize, Deserialize)]
struct PauseEntry {
    since: i64,
    until: Option<i64>,
    by: String,
    comment: String,
}

#[derive(Serialize, Deserialize)]
struct RecordEntry {
    at: i64,
    event: String,
    detail: String,
    cause: Option<(String, usize, String)>,
    evidence: String,
}

/// Encodes a history as the content of a file.
///
/// # Errors
/// Never in practice: all keys of maps are strings.
pub fn encode(history: &History, anchor: &TimeAnchor, now: Moment) -> Result<Vec<u8>, serde_json::Error> {
    let time = |moment: Moment| anchor.boot_nanos(moment);
    let pause = |pause: &Pause| PauseEntry {
        since: time(pause.since),
        until: pause.until.map(time),
        by: pause.by.clone(),
        comment: pause.comment.clone(),
    };
    let backoff = |backoff: &BackoffState| (backoff.level, backoff.not_before.map(time));
    let service = |service: &ServiceHistory| ServiceEntry {
        attempts: service
            .attempts
            .iter()
            .map(|attempt| (time(attempt.at), attempt.is_real))
            .collect(),
        pending: service
            .pending
            .map(|pending| (time(pending.began), pending.ended.map(time))),
        unhelpful: service.unhelpful,
        backoff: backoff(&service.backoff),
        dry_backoff: backoff(&service.dry_backoff),
        counts_from: service.counts_from.map(time),
        pause: service.pause.as_ref().map(pause),
        actions: service.actions,
        target: service.target.clone(),
        last_action: service
            .last_action
            .map(|action| (time(action.began), action.event.as_str().to_owned())),
        records: service
            .records
            .iter()
            .map(|record| RecordEntry {
                at: time(record.at),
                event: record.event.as_str().to_owned(),
                detail: record.detail.clone(),
                cause: record.cause.as_ref().map(|(check, runs, reason)| {
                    (check.as_str().to_owned(), *runs, reason.as_str().to_owned())
                }),
                evidence: record.evidence.clone(),
            })
            .collect(),
    };
    let services = history.services.iter();
    let mut text = serde_json::to_vec(&FileEntry {
        format: FORMAT.to_owned(),
        version: VERSION,
        boot_id: anchor.boot_id.clone(),
        written: time(now),
        written_unix: anchor.unix_nanos(now),
        pause: history.pause.as_ref().map(pause),
        last_storm: history.last_storm.map(time),
        lost_until: history.lost_until.map(time),
        services: services
            .map(|(key, history)| (key.as_str().to_owned(), service(history)))
            .collect(),
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Decodes the content of a file. Past times after `now` become `now`.
///
/// # Errors
/// If the content is incomplete, or of another format or version.
pub fn decode(text: &[u8], anchor: &TimeAnchor, now: Moment) -> Result<History, ContentError> {
    match serde_json::from_slice(text)? {
        Header {
            format: Some(format),
            version: Some(version),
        } if format == FORMAT => {
            if version != VERSION {
                return Err(ContentError::Version(version));
            }
        }
        _ => return Err(ContentError::Format),
    }
    let file: FileEntry = serde_json::from_slice(text)?;
    let offsets = anchor.offsets_of(&file.boot_id, file.written, file.written_unix, now);
    let reader = Reader { offsets, now };
    let services = file.services.into_iter().map(|(key, entry)| {
        let service = reader.service(entry)?;
        Ok((ServiceKey::new(key), service))
    });
    Ok(History {
        services: services.collect::<Result<_, ContentError>>()?,
        pause: file.pause.map(|pause| reader.pause(pause)),
        last_storm: file.last_storm.map(|at| reader.past(at)),
        lost_until: file.lost_until.map(|at| reader.time(at)),
    })
}

/// The part of a file that pauses are in.
#[derive(Deserialize)]
struct PausesEntry {
    boot_id: String,
    written: i64,
    written_unix: i64,
    pause: Option<PauseEntry>,
    services: BTreeMap<String, ServicePauseEntry>,
}

#[derive(Deserialize)]
struct ServicePauseEntry {
    pause: Option<PauseEntry>,
}

/// Decodes only the pauses, of a file that can't be used otherwise, such as one of a newer version. `None` if that fails too.
pub fn decode_pauses(text: &[u8], anchor: &TimeAnchor, now: Moment) -> Option<History> {
    let file: PausesEntry = serde_json::from_slice(text).ok()?;
    let offsets = anchor.offsets_of(&file.boot_id, file.written, file.written_unix, now);
    let reader = Reader { offsets, now };
    let paused = file.services.into_iter().filter_map(|(key, service)| {
        let history = ServiceHistory {
            pause: Some(reader.pause(service.pause?)),
            ..ServiceHistory::default()
        };
        Some((ServiceKey::new(key), history))
    });
    Some(History {
        services: paused.collect(),
        pause: file.pause.map(|pause| reader.pause(pause)),
        ..History::default()
    })
}

struct Reader {
    offsets: FileOffsets,
    now: Moment,
}

impl Reader {
    fn time(&self, nanos: i64) -> Moment {
        Moment::from_nanos(nanos.saturating_sub(self.offsets.decisions))
    }

    /// A past time that is only shown.
    fn shown(&self, nanos: i64) -> Moment {
        Moment::from_nanos(nanos.saturating_sub(self.offsets.shown)).min(self.now)
    }

    fn past(&self, nanos: i64) -> Moment {
        self.time(nanos).min(self.now)
    }

    fn pause(&self, entry: PauseEntry) -> Pause {
        Pause {
            since: self.shown(entry.since),
            until: entry.until.map(|until| self.time(until)),
            by: entry.by,
            comment: entry.comment,
        }
    }

    fn service(&self, entry: ServiceEntry) -> Result<ServiceHistory, ContentError> {
        let backoff = |(level, not_before): (u32, Option<i64>)| BackoffState {
            level,
            not_before: not_before.map(|at| self.time(at)),
        };
        let attempts = entry.attempts.into_iter();
        let attempts = attempts.map(|(at, is_real)| Attempt {
            at: self.past(at),
            is_real,
        });
        let last_action = entry.last_action.map(|(began, event)| {
            let event = parse_value(&event, HealEvent::from_word)?;
            let began = self.shown(began);
            Ok::<_, ContentError>(LastAction { began, event })
        });
        let records = entry
            .records
            .into_iter()
            .take(MAX_DECISIONS)
            .map(|record| self.record(record));
        Ok(ServiceHistory {
            attempts: attempts.collect(),
            pending: entry.pending.map(|(began, ended)| Pending {
                began: self.past(began),
                ended: ended.map(|ended| self.past(ended)),
            }),
            unhelpful: entry.unhelpful,
            backoff: backoff(entry.backoff),
            dry_backoff: backoff(entry.dry_backoff),
            counts_from: entry.counts_from.map(|at| self.past(at)),
            pause: entry.pause.map(|pause| self.pause(pause)),
            actions: entry.actions,
            target: entry.target,
            last_action: last_action.transpose()?,
            records: records.collect::<Result<VecDeque<_>, _>>()?,
            ..ServiceHistory::default()
        })
    }

    fn record(&self, entry: RecordEntry) -> Result<HealRecord, ContentError> {
        let cause = entry.cause.map(|(check, runs, reason)| {
            parse_value(&reason, Reason::from_word).map(|reason| (CheckName::new(check), runs, reason))
        });
        Ok(HealRecord {
            at: self.shown(entry.at),
            event: parse_value(&entry.event, HealEvent::from_word)?,
            detail: entry.detail,
            cause: cause.transpose()?,
            evidence: entry.evidence,
        })
    }
}

fn parse_value<T>(text: &str, find: fn(&str) -> Option<T>) -> Result<T, ContentError> {
    find(text).ok_or_else(|| ContentError::Value(text.chars().take(40).collect()))
}
