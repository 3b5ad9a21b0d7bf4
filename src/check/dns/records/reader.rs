//! Reads the parts of a DNS message (RFC 1035, section 4.1): numbers, strings and names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{MAX_TEXT_BYTES, push_name_byte};

/// The longest name, in bytes (RFC 1035, section 3.1).
const MAX_NAME_BYTES: usize = 255;
/// The most compression pointers of a name. A name of [`MAX_NAME_BYTES`] has at most 127 labels.
const MAX_POINTERS: usize = 126;

/// Why a message is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The texts of the records are longer than [`MAX_TEXT_BYTES`].
pub const TOO_LONG: Malformed = Malformed("the texts of the records are longer than 4 MiB");
const CUT: Malformed = Malformed("it ends within a field");

/// A place in a message. It ends at the end of the message or of a record.
///
/// If a record ends before a field, the field is treated as zero or empty, as in blackbox_exporter.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    message: &'a [u8],
    position: usize,
    /// Whether the next field must exist. blackbox_exporter demands this after fields with a length.
    is_next_required: bool,
}

impl<'a> Reader<'a> {
    /// Starts at this position.
    pub const fn new(message: &'a [u8], position: usize) -> Self {
        Self {
            message,
            position,
            is_next_required: false,
        }
    }

    /// Splits off the next `length` bytes. Names in them may point to earlier parts of the message.
    pub fn split(&mut self, length: usize) -> Result<Self, Malformed> {
        let end = self.position + length;
        let message = self.message.get(..end).ok_or(CUT)?;
        let part = Self::new(message, self.position);
        self.position = end;
        Ok(part)
    }

    /// Whether nothing is left.
    pub const fn is_at_end(&self) -> bool {
        self.position >= self.message.len()
    }

    /// Whether the next field is missing, and treated as zero or empty.
    pub const fn is_missing(&self) -> bool {
        self.is_at_end() && !self.is_next_required
    }

    /// Makes the next field required.
    pub const fn require_next(&mut self) {
        self.is_next_required = true;
    }

    /// The next bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let rest = self.message.get(self.position..).unwrap_or_default();
        let bytes = rest.get(..length).ok_or(CUT)?;
        self.position += length;
        self.is_next_required = false;
        Ok(bytes)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.message.get(self.position..).unwrap_or_default();
        self.position = self.message.len();
        rest
    }

    /// A number of `length` bytes, or 0 if it is missing.
    fn number(&mut self, length: usize) -> Result<u64, Malformed> {
        if self.is_missing() {
            return Ok(0);
        }
        let bytes = self.bytes(length)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number of one byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.number(1).map(|number| number as u8)
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.number(2).map(|number| number as u16)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.number(4).map(|number| number as u32)
    }

    /// A number of six bytes.
    pub fn u48(&mut self) -> Result<u64, Malformed> {
        self.number(6)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.number(8)
    }

    /// An IPv4 address.
    pub fn ipv4(&mut self) -> Result<Ipv4Addr, Malformed> {
        self.u32().map(Ipv4Addr::from_bits)
    }

    /// An IPv6 address.
    pub fn ipv6(&mut self) -> Result<Ipv6Addr, Malformed> {
        let bytes = self.bytes(16)?;
        Ok(<[u8; 16]>::try_from(bytes).unwrap_or_default().into())
    }

    /// A string with its length in the first byte.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.bytes_after_length(usize::from(length))
    }

    fn bytes_after_length(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        match length {
            0 => Ok(&[]),
            length => self.bytes(length),
        }
    }

    /// Bytes with their length in another field. If the record ends after that field, they are missing.
    pub fn sized(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        if self.is_missing() {
            return Ok(&[]);
        }
        let bytes = self.bytes_after_length(length)?;
        self.require_next();
        Ok(bytes)
    }

    /// Appends the text of a name, with the final dot of the root. A missing name is empty.
    pub fn name(&mut self, text: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.is_missing() {
            return Ok(());
        }
        self.is_next_required = false;
        let (mut position, mut after_pointer) = (self.position, None);
        let (mut pointers, mut length) = (0, 1);
        loop {
            let byte = usize::from(*self.message.get(position).ok_or(CUT)?);
            position += 1;
            match byte {
                0 => break,
                1..=0x3f => {
                    let label = self.message.get(position..position + byte).ok_or(CUT)?;
                    length += byte + 1;
                    if length > MAX_NAME_BYTES {
                        return Err(Malformed("a name is longer than 255 bytes"));
                    }
                    label.iter().for_each(|byte| push_name_byte(text, *byte));
                    text.push(b'.');
                    position += byte;
                }
                0xc0.. => {
                    let low = usize::from(*self.message.get(position).ok_or(CUT)?);
                    after_pointer.get_or_insert(position + 1);
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err(Malformed("a name has too many compression pointers"));
                    }
                    position = (byte & 0x3f) << 8 | low;
                }
                _ => return Err(Malformed("a name has a label of an unknown type")),
            }
        }
        if length == 1 {
            text.push(b'.');
        }
        self.position = after_pointer.unwrap_or(position);
        // Pointers make a name much longer than its bytes.
        if text.len() > MAX_TEXT_BYTES {
            return Err(TOO_LONG);
        }
        Ok(())
    }
}
