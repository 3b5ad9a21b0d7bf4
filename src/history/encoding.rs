//! The format of the two files of the history.
//!
//! `history.bin` is a complete copy: a header, the services, and a checksum. `history.log` has what happened since: a header, and a record for
//! each save. A record contains the current state of each bucket that changed, so applying it twice does no harm. Both headers
//! have the number of the copy. A log with another number belongs to an older copy.

use super::bucket::{Bucket, STATUSES, Step};
use super::bytes::{Put, Take};
use super::change::Change;
use super::record::{ServiceRecord, Unsaved};
use super::recorder::Recorder;
use crate::model::{CheckName, Reason, ServiceKey, Status};
use crate::store::Fnv;

/// The first bytes of the copy. The last one is the version of the format.
const COPY: &[u8] = b"upkeep_exporter history\n\x01";

/// The first bytes of the log.
const LOG: &[u8] = b"upkeep_exporter history log\n\x01";

/// The length of the header of a log in bytes.
pub const LOG_HEADER: usize = LOG.len() + 8;

/// The length and the checksum before each record of the log.
const RECORD_HEADER: usize = 12;

/// The bit of a bucket's first byte that says that it has response times. The lower ones say which statuses it has.
const HAS_RESPONSES: u8 = 1 << STATUSES;

/// A file can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It has other first bytes.
    #[error("it is not a history file of upkeep_exporter, or of another version")]
    Format,
    /// Its checksum is wrong.
    #[error("it is incomplete or damaged: its checksum is wrong")]
    Checksum,
    /// Its checksum is right, but its content is not.
    #[error("it has invalid content")]
    Content,
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.write(bytes);
    hash.finish()
}

/// Encodes a complete copy with this number.
pub fn encode_copy(recorder: &Recorder, number: u64) -> Vec<u8> {
    let mut bytes = COPY.to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.put_number(recorder.services().len() as u64);
    for (key, record) in recorder.services() {
        bytes.put_text(key.as_str());
        for step in Step::ALL {
            let series = record.series(step);
            put_buckets(&mut bytes, series.iter());
        }
        put_changes(&mut bytes, record.changes());
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Decodes a complete copy into an empty recorder. Returns its number.
///
/// # Errors
/// If the file can't be used. Then the recorder may have a part of it.
pub fn decode_copy(bytes: &[u8], recorder: &mut Recorder) -> Result<u64, ContentError> {
    let content = bytes.strip_prefix(COPY).ok_or(ContentError::Format)?;
    let length = content.len().checked_sub(8).ok_or(ContentError::Checksum)?;
    let (content, sum) = content.split_at(length);
    if checksum(&bytes[..bytes.len() - 8]).to_le_bytes() != sum {
        return Err(ContentError::Checksum);
    }
    let mut take = Take(content);
    decode_services(&mut take, recorder).ok_or(ContentError::Content)
}

fn decode_services(take: &mut Take<'_>, recorder: &mut Recorder) -> Option<u64> {
    let number = take.fixed()?;
    for _ in 0..take.number()? {
        let (record, capacity) = recorder.restore(ServiceKey::new(take.text()?));
        for step in Step::ALL {
            let mut before = 0;
            for _ in 0..take.number()? {
                let bucket = take_bucket(take, &mut before)?;
                record.restore(step, bucket, capacity);
            }
        }
        for _ in 0..take.number()? {
            record.restore_change(take_change(take)?, capacity);
        }
    }
    take.0.is_empty().then_some(number)
}

/// The header of a log that belongs to the copy with this number.
pub fn log_header(number: u64) -> Vec<u8> {
    [LOG, &number.to_le_bytes()].concat()
}

/// Reads the header of a log. Returns the number of its copy.
///
/// # Errors
/// If the file is not a log.
pub fn decode_log_header(bytes: &[u8]) -> Result<u64, ContentError> {
    let rest = bytes.strip_prefix(LOG).ok_or(ContentError::Format)?;
    Take(rest).fixed().ok_or(ContentError::Format)
}

/// Encodes a record with what is not saved.
pub fn encode_record(recorder: &Recorder, unsaved: &[(ServiceKey, Unsaved)]) -> Vec<u8> {
    let mut content = Vec::new();
    content.put_number(unsaved.len() as u64);
    let empty = ServiceRecord::default();
    for (key, unsaved) in unsaved {
        let record = recorder.services().get(key).unwrap_or(&empty);
        content.put_text(key.as_str());
        let (buckets, changes) = record.unsaved(unsaved);
        let (buckets, changes): (Vec<_>, Vec<_>) = (buckets.collect(), changes.collect());
        put_buckets(&mut content, buckets.into_iter());
        put_changes(&mut content, changes.into_iter());
    }
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let sum = checksum(&content);
    [&length.to_le_bytes()[..], &sum.to_le_bytes(), &content].concat()
}

/// Applies the records of a log, after its header. Returns the number of bytes of the complete records. If the rest is not empty, the
/// next record is incomplete or damaged.
pub fn apply_records(bytes: &[u8], recorder: &mut Recorder) -> usize {
    let mut applied = 0;
    while let Some(content) = next_record(&bytes[applied..]) {
        if apply_record(content, recorder).is_none() {
            break;
        }
        applied += RECORD_HEADER + content.len();
    }
    applied
}

fn next_record(bytes: &[u8]) -> Option<&[u8]> {
    let mut take = Take(bytes);
    let length = u32::from_le_bytes(take.bytes(4)?.try_into().ok()?);
    let sum = take.fixed()?;
    let content = take.bytes(usize::try_from(length).ok()?)?;
    (checksum(content) == sum).then_some(content)
}

/// Whether a process that was killed while it wrote may have left these bytes at the end of a log: they are shorter than their record.
pub fn is_torn(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk().map(|length| u32::from_le_bytes(*length));
    length.is_none_or(|length| bytes.len() < RECORD_HEADER.saturating_add(length as usize))
}

fn apply_record(content: &[u8], recorder: &mut Recorder) -> Option<()> {
    let mut take = Take(content);
    for _ in 0..take.number()? {
        let (record, capacity) = recorder.restore(ServiceKey::new(take.text()?));
        let mut before = 0;
        for _ in 0..take.number()? {
            let bucket = take_bucket(&mut take, &mut before)?;
            record.restore_bucket(bucket, capacity);
        }
        for _ in 0..take.number()? {
            record.restore_change(take_change(&mut take)?, capacity);
        }
    }
    Some(())
}

fn put_buckets<'a>(bytes: &mut Vec<u8>, buckets: impl ExactSizeIterator<Item = &'a Bucket>) {
    bytes.put_number(buckets.len() as u64);
    let mut before = 0;
    for bucket in buckets {
        // In most lists they are consecutive.
        bytes.put_number(bucket.index.wrapping_sub(before).into());
        before = bucket.index;
        let mut flags = 0;
        for (position, millis) in bucket.millis.iter().enumerate() {
            flags |= u8::from(*millis > 0) << position;
        }
        if bucket.responses > 0 {
            flags |= HAS_RESPONSES;
        }
        bytes.push(flags);
        for millis in bucket.millis.iter().filter(|millis| **millis > 0) {
            bytes.put_number((*millis).into());
        }
        if bucket.responses > 0 {
            bytes.put_number(bucket.responses.into());
            bytes.put_number(bucket.response_max.into());
            bytes.put_number(bucket.response_sum);
        }
    }
}

/// Reads a bucket. `before` is the number of the bucket before it.
fn take_bucket(take: &mut Take<'_>, before: &mut u32) -> Option<Bucket> {
    *before = before.wrapping_add(take.small()?);
    let mut bucket = Bucket::new(*before);
    let flags = *take.bytes(1)?.first()?;
    for (position, millis) in bucket.millis.iter_mut().enumerate() {
        if flags & 1 << position != 0 {
            *millis = take.small()?;
        }
    }
    if flags & HAS_RESPONSES != 0 {
        bucket.responses = take.small()?;
        bucket.response_max = take.small()?;
        bucket.response_sum = take.number()?;
    }
    Some(bucket)
}

fn put_changes<'a>(bytes: &mut Vec<u8>, changes: impl ExactSizeIterator<Item = &'a Change>) {
    bytes.put_number(changes.len() as u64);
    for change in changes {
        bytes.put_number(change.at.max(0).unsigned_abs());
        bytes.put_text(change.status.as_str());
        bytes.put_text(change.reason.map_or("", Reason::as_str));
        bytes.put_text(change.check.as_ref().map_or("", CheckName::as_str));
        bytes.push(change.in_maintenance.into());
    }
}

fn take_change(take: &mut Take<'_>) -> Option<Change> {
    Some(Change {
        at: i64::try_from(take.number()?).ok()?,
        status: Status::from_word(take.text()?)?,
        // A reason of another version is left out.
        reason: Reason::from_word(take.text()?),
        check: Some(take.text()?)
            .filter(|name| !name.is_empty())
            .map(CheckName::new),
        in_maintenance: *take.bytes(1)?.first()? != 0,
    })
}
