//! The file `heal.json` of the state directory, with the history of healing. It is written before every action.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File as LockFile;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::backoff::BackoffState;
use super::history::{Attempt, History, LastAction, Pause, Pending, ServiceHistory};
use super::record::{HealEvent, HealRecord, MAX_DECISIONS};
use super::time_anchor::TimeAnchor;
use crate::model::{CheckName, Moment, Reason, ServiceKey};
use crate::state_dir::{self, SaveError, StateDirError};

const FILE: &str = "heal.json";
const LOCK: &str = "heal.lock";

/// The format's name in the file.
const FORMAT: &str = "upkeep_exporter heal history";

/// The version that is written and read.
const VERSION: u32 = 1;

/// The maximum size of the file in bytes. 10,000 services with full histories need less.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

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

/// The history file and its lock, which excludes another exporter with the same directory.
#[derive(Debug)]
pub struct HistoryFile {
    dir: PathBuf,
    lock: Option<LockFile>,
    /// Another exporter held the lock when this one read the file. What was read may be old, so it is never written.
    is_foreign: bool,
}

impl HistoryFile {
    /// Reads the file in `dir`. Also returns warnings for the operator. If the file can't be used, budgets count as spent.
    pub fn open(dir: PathBuf, anchor: &TimeAnchor, now: Moment) -> (Self, History, Vec<String>) {
        let mut file = Self {
            dir,
            lock: None,
            is_foreign: false,
        };
        let mut warnings = Vec::new();
        // Other errors are reported by the first write, because most exporters heal nothing.
        if let Err(error @ SaveError::InUse(_)) = file.take_lock() {
            file.is_foreign = true;
            warnings.push(format!(
                "nothing is healed until the exporter is restarted: {error}"
            ));
        }
        let read = state_dir::read(&file.dir, FILE, MAX_BYTES);
        let decoded = read.and_then(|text| match text {
            Some(text) => decode(&text, anchor, now).map_err(|error| error.to_string()),
            None => Ok(History::default()),
        });
        let mut history = decoded.unwrap_or_else(|reason| {
            let action = state_dir::set_aside(&file.dir, FILE);
            warnings.push(format!(
                "the history of healing {} can't be used: {reason}; {action}; nothing is healed for an hour, because the budget \
                 may be spent",
                file.path().display()
            ));
            History::lost(now)
        });
        history.end_interrupted(now);
        (file, history, warnings)
    }

    fn take_lock(&mut self) -> Result<(), SaveError> {
        if self.is_foreign {
            return Err(StateDirError::InUse {
                dir: self.dir.clone(),
            }
            .into());
        }
        if self.lock.is_none() {
            self.lock = Some(state_dir::lock(&self.dir, LOCK)?);
        }
        Ok(())
    }

    /// Atomically replaces the file and syncs it to the disk.
    ///
    /// # Errors
    /// If a step fails. The old file stays.
    pub fn write(&mut self, history: &History, anchor: &TimeAnchor, now: Moment) -> Result<(), SaveError> {
        self.take_lock()?;
        let text = encode(history, anchor, now)?;
        state_dir::replace(&self.dir, FILE, &text)
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
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
    let offset = anchor.offset_of(&file.boot_id, file.written, file.written_unix, now);
    let reader = Reader { offset, now };
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

struct Reader {
    /// The difference between the file's times and moments.
    offset: i64,
    now: Moment,
}

impl Reader {
    fn time(&self, nanos: i64) -> Moment {
        Moment::from_nanos(nanos.saturating_sub(self.offset))
    }

    fn past(&self, nanos: i64) -> Moment {
        self.time(nanos).min(self.now)
    }

    fn pause(&self, entry: PauseEntry) -> Pause {
        Pause {
            since: self.past(entry.since),
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
            let began = self.past(began);
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
            at: self.past(entry.at),
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
