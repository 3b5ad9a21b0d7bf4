//! Numbers and texts as bytes. Numbers are variable-length: seven bits a byte, lowest first, and the highest bit says that more follow.

/// The maximum number of bytes of a text. Keys and names in a configuration are shorter.
const MAX_TEXT: usize = 4096;

/// Appends values to bytes.
pub trait Put {
    /// Appends a number.
    fn put_number(&mut self, number: u64);
    /// Appends a text with its length. Longer texts than the reader accepts are cut off.
    fn put_text(&mut self, text: &str);
}

impl Put for Vec<u8> {
    fn put_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    fn put_text(&mut self, text: &str) {
        let text = crate::model::prefix(text, MAX_TEXT);
        self.put_number(text.len() as u64);
        self.extend_from_slice(text.as_bytes());
    }
}

/// Reads values from bytes. Returns `None` if the bytes are too short or invalid.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a>(pub &'a [u8]);

impl<'a> Take<'a> {
    /// Reads so many bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Reads eight bytes as a number, lowest byte first.
    pub fn fixed(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// Reads a number.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a number of 32 bits.
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// Reads a text.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        if length > MAX_TEXT {
            return None;
        }
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}
