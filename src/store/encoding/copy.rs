//! A complete copy of the state: one JSON object.

use serde::{Deserialize, Serialize};

use super::entry::{Encoding, Entries};
use super::{ContentError, DIGITS, OLDEST_VERSION, VERSION};
use crate::model::{Moment, WallAnchor};
use crate::store::fingerprint::Fnv;
use crate::store::saved::SavedState;

const FORMAT: &str = "upkeep_exporter state";

/// What a file says about itself, whatever its version.
#[derive(Deserialize)]
struct Header {
    format: Option<String>,
    version: Option<u32>,
}

/// The fields in the order of the file; see [`checksum`].
#[derive(Serialize, Deserialize)]
struct File<S> {
    format: String,
    version: u32,
    /// Older files of version 3 have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    checksum: Option<String>,
    written: i64,
    services: S,
}

/// The position of the checksum in a file.
fn place_of_checksum() -> usize {
    format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"checksum\":\"").len()
}

/// The checksum of all bytes but its own digits.
fn checksum(text: &[u8]) -> u64 {
    let (before, rest) = text.split_at(place_of_checksum().min(text.len()));
    let mut hash = Fnv::new();
    hash.write(before);
    hash.write(rest.get(DIGITS..).unwrap_or_default());
    hash.finish()
}

/// Encodes the state as the content of a file. Also returns its checksum.
///
/// # Errors
/// Never in practice: all keys of maps are strings.
pub fn encode_copy(
    state: &SavedState,
    wall: WallAnchor,
    now: Moment,
) -> Result<(Vec<u8>, u64), serde_json::Error> {
    let mut text = serde_json::to_vec(&File {
        format: FORMAT.to_owned(),
        version: VERSION,
        checksum: Some("0".repeat(DIGITS)),
        written: wall.nanos(now),
        services: Encoding::new(state, wall),
    })?;
    let checksum = checksum(&text);
    let digits = text.iter_mut().skip(place_of_checksum());
    for (digit, byte) in digits.zip(format!("{checksum:016x}").into_bytes()) {
        *digit = byte;
    }
    text.push(b'\n');
    Ok((text, checksum))
}

/// Decodes the content of a file. Times after `now` become `now`: the wall clock was set back. Also returns the checksum; files of older
/// versions of the exporter have none.
///
/// # Errors
/// If the content is incomplete or damaged, or of another format or version.
pub fn decode_copy(
    text: &[u8],
    wall: WallAnchor,
    now: Moment,
) -> Result<(SavedState, Option<u64>), ContentError> {
    let header: Header = serde_json::from_slice(text)?;
    match header {
        Header {
            format: Some(format),
            version: Some(version),
        } if format == FORMAT => {
            if !(OLDEST_VERSION..=VERSION).contains(&version) {
                return Err(ContentError::Version(version));
            }
        }
        _ => return Err(ContentError::Format),
    }
    let file: File<Entries> = serde_json::from_slice(text)?;
    let state = file.services.decode(wall, now)?;
    let Some(found) = file.checksum else {
        return Ok((state, None));
    };
    let checksum = checksum(text.strip_suffix(b"\n").unwrap_or(text));
    if found != format!("{checksum:016x}") {
        return Err(ContentError::Checksum);
    }
    Ok((state, Some(checksum)))
}
