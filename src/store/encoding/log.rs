//! The log of what changed since a copy. It has one line for each save: a checksum, a space and a JSON object.
//!
//! The first line is the header. It names the checksum of the copy. Every other line is a record with the complete state of each service that
//! changed, so applying it twice does no harm. A checksum covers the lines before it too. So after any number of complete lines, the state
//! is one that was saved.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::entry::{Encoding, Entries};
use super::{ContentError, DIGITS, VERSION};
use crate::model::{Moment, ServiceKey, WallAnchor};
use crate::store::fingerprint::Fnv;
use crate::store::saved::SavedState;

const FORMAT: &str = "upkeep_exporter state log";

/// A line of a log.
#[derive(Debug)]
pub struct Line {
    /// Its bytes, with the line break.
    pub bytes: Vec<u8>,
    /// Its checksum.
    pub checksum: u64,
}

/// A line of a log can't be used. The lines before it were applied.
#[derive(Debug, thiserror::Error)]
#[error("line {number}: {cause}")]
pub struct LineError {
    number: usize,
    cause: ContentError,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// The checksum of the copy.
    copy: String,
}

#[derive(Serialize, Deserialize)]
struct Record<S> {
    services: S,
}

/// The checksum of a line, after a line with the checksum `before`.
fn checksum(before: u64, content: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.write(&before.to_le_bytes());
    hash.write(content);
    hash.finish()
}

impl Line {
    fn encode(before: u64, content: &impl Serialize) -> Result<Self, serde_json::Error> {
        let content = serde_json::to_vec(content)?;
        let checksum = checksum(before, &content);
        Ok(Self {
            bytes: [format!("{checksum:016x} ").as_bytes(), &content, b"\n"].concat(),
            checksum,
        })
    }
}

/// Encodes the header of a log that belongs to the copy with this checksum.
///
/// # Errors
/// Never in practice: it has only strings and a number.
pub fn encode_header(copy: u64) -> Result<Line, serde_json::Error> {
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        copy: format!("{copy:016x}"),
    };
    Line::encode(0, &header)
}

/// Encodes a record of services that changed. `before` is the checksum of the line before it.
///
/// # Errors
/// Never in practice: all keys of maps are strings.
pub fn encode_record(before: u64, changed: &SavedState, wall: WallAnchor) -> Result<Line, serde_json::Error> {
    let services = Encoding::new(changed, wall);
    Line::encode(before, &Record { services })
}

/// Applies the records of a log to the state of the copy with this checksum. A log of another copy is ignored. So is an incomplete line at
/// the end: the process was killed while it wrote.
///
/// # Errors
/// If a line is damaged. The lines before it are applied.
pub fn replay(
    text: &[u8],
    copy: u64,
    state: &mut SavedState,
    wall: WallAnchor,
    now: Moment,
) -> Result<(), LineError> {
    let mut lines = Lines {
        rest: text,
        number: 0,
        checksum: 0,
    };
    // The header is written with the file, so it is never incomplete.
    let header = lines.next_content()?.unwrap_or_default();
    let header = parse_header(header).map_err(|cause| lines.error(cause))?;
    if header.copy != format!("{copy:016x}") {
        return Ok(());
    }
    let keys = state.services.iter().map(|(key, ..)| key.clone());
    let mut positions: HashMap<ServiceKey, usize> = keys.zip(0..).collect();
    while let Some(content) = lines.next_content()? {
        let record = serde_json::from_slice(content).map_err(ContentError::from);
        let changed = record.and_then(|Record::<Entries> { services }| services.decode(wall, now));
        for service in changed.map_err(|cause| lines.error(cause))?.services {
            let next = state.services.len();
            match *positions.entry(service.0.clone()).or_insert(next) {
                position if position < next => state.services[position] = service,
                _ => state.services.push(service),
            }
        }
    }
    Ok(())
}

fn parse_header(content: &[u8]) -> Result<Header, ContentError> {
    let header: Header = serde_json::from_slice(content)?;
    match header {
        Header { format, .. } if format != FORMAT => Err(ContentError::Format),
        Header { version, .. } if version != VERSION => Err(ContentError::Version(version)),
        header => Ok(header),
    }
}

/// The lines of a log.
struct Lines<'a> {
    rest: &'a [u8],
    /// How many lines were read.
    number: usize,
    /// The checksum of the last one.
    checksum: u64,
}

impl<'a> Lines<'a> {
    /// The content of the next complete line.
    fn next_content(&mut self) -> Result<Option<&'a [u8]>, LineError> {
        let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let (line, rest) = (&self.rest[..end], &self.rest[end + 1..]);
        self.rest = rest;
        self.number += 1;
        let content = line.get(DIGITS + 1..).unwrap_or_default();
        self.checksum = checksum(self.checksum, content);
        if line.get(..=DIGITS) != Some(format!("{:016x} ", self.checksum).as_bytes()) {
            return Err(self.error(ContentError::Checksum));
        }
        Ok(Some(content))
    }

    const fn error(&self, cause: ContentError) -> LineError {
        LineError {
            number: self.number,
            cause,
        }
    }
}
