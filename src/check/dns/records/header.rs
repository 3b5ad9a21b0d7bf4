//! The fields of a record before its data.

use crate::config::dns::RecordType;

/// The fields of a record before its data (RFC 1035, section 4.1.3).
pub struct Header<'a> {
    /// The text of the owner's name.
    pub owner: &'a [u8],
    /// The type.
    pub kind: RecordType,
    /// The class.
    pub class: u16,
    /// The time to live in seconds.
    pub ttl: u32,
}
