//! Decodes a body of chunks (RFC 9112, section 7.1).

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::failure::Failure;
use crate::net::http::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

/// How many bytes the extensions of all chunks may have. They have no meaning for us (RFC 9112, section 7.1.1).
const MAX_EXTENSION_BYTES: usize = 16 << 10;

/// A part of a body.
pub enum Part {
    /// Bytes of a chunk.
    Data(Bytes),
    /// The end, with the trailers if there are any.
    End(Option<HeaderMap>),
}

/// Decodes one body.
#[derive(Default)]
pub struct Chunked {
    place: Place,
    /// How many bytes of the chunk are left.
    left: u64,
    extension_bytes: usize,
    /// The trailer section, with the empty line at its end.
    trailers: Vec<u8>,
    trailer_fields: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The first digit of a chunk's size.
    #[default]
    Size,
    /// More digits, or what follows the size.
    Digits,
    /// What follows the white space after the size.
    Blank,
    /// An extension.
    Extension,
    /// The LF after the size.
    SizeLf,
    /// The bytes of the chunk.
    Data,
    /// The CR after them.
    DataCr,
    /// The LF after them.
    DataLf,
    /// The first byte of a line after the last chunk.
    Trailer,
    /// More of that line.
    TrailerLine,
    /// The LF of that line.
    TrailerLf,
    /// The LF of the empty line.
    LastLf,
    /// Nothing.
    End,
}

impl Chunked {
    /// Takes the next part from what has arrived. `None` if more has to arrive first.
    ///
    /// # Errors
    /// If the bytes are no chunks.
    pub fn next(&mut self, received: &mut BytesMut) -> Result<Option<Part>, Failure> {
        let mut used = 0;
        while self.place != Place::Data && self.place != Place::End {
            let Some(&byte) = received.get(used) else {
                received.clear();
                return Ok(None);
            };
            self.step(byte).map_err(Failure::Invalid)?;
            used += 1;
        }
        let _ = received.split_to(used);
        if self.place == Place::End {
            return Ok(Some(Part::End(self.parse_trailers()?)));
        }
        if received.is_empty() {
            return Ok(None);
        }
        let length = usize::try_from(self.left).map_or(received.len(), |left| left.min(received.len()));
        self.left -= length as u64;
        if self.left == 0 {
            self.place = Place::DataCr;
        }
        Ok(Some(Part::Data(received.split_to(length).freeze())))
    }

    /// Uses a byte that is not part of a chunk's data.
    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        use Place::{
            Blank, Data, DataCr, DataLf, Digits, End, Extension, LastLf, Size, SizeLf, Trailer, TrailerLf,
            TrailerLine,
        };
        if matches!(self.place, Trailer | TrailerLine | TrailerLf | LastLf) {
            self.trailers.push(byte);
            if self.trailers.len() >= MAX_HEAD_BYTES {
                return Err("the trailers are too long");
            }
        }
        self.place = match (self.place, byte) {
            (Size | Digits, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = self
                    .left
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(digit.into()));
                self.left = size.ok_or("the size of a chunk is too large")?;
                Digits
            }
            (Digits | Blank, b' ' | b'\t') => Blank,
            (Digits | Blank, b';') => Extension,
            (Digits | Blank | Extension, b'\r') => SizeLf,
            (Extension, b'\n') => return Err("an extension of a chunk ends without CR"),
            (Extension, _) => {
                self.extension_bytes += 1;
                if self.extension_bytes >= MAX_EXTENSION_BYTES {
                    return Err("the extensions of the chunks are too long");
                }
                Extension
            }
            (SizeLf, b'\n') if self.left > 0 => Data,
            (SizeLf, b'\n') => Trailer,
            (Size | Digits | Blank | SizeLf, _) => return Err("the size of a chunk is invalid"),
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => Size,
            (Data | DataCr | DataLf, _) => return Err("a chunk is longer than its size"),
            (Trailer, b'\r') => LastLf,
            (TrailerLine, b'\r') => TrailerLf,
            (Trailer | TrailerLine, _) => TrailerLine,
            (TrailerLf, b'\n') if self.trailer_fields == MAX_HEADERS => {
                return Err("there are too many trailers");
            }
            (TrailerLf, b'\n') => {
                self.trailer_fields += 1;
                Trailer
            }
            (LastLf, b'\n') => End,
            (TrailerLf | LastLf | End, _) => return Err("a line of the trailers ends without LF"),
        };
        Ok(())
    }

    fn parse_trailers(&self) -> Result<Option<HeaderMap>, Failure> {
        if self.trailer_fields == 0 {
            return Ok(None);
        }
        let invalid = Failure::Invalid("a trailer is invalid");
        // No more fields than lines: the parser also accepts lines that end without CR.
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let fields = &mut fields[..self.trailer_fields];
        let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&self.trailers, fields)
        else {
            return Err(invalid);
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(field.name.as_bytes()),
                HeaderValue::from_bytes(field.value),
            ) else {
                return Err(invalid);
            };
            trailers.append(name, value);
        }
        Ok(Some(trailers))
    }
}
