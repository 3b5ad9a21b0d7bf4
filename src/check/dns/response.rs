//! Parses the response of a name server (RFC 1035, section 4.1): its response code, and the texts of its records.

use std::ops::Range;

use super::records::{self, Header, MAX_TEXT_BYTES, Malformed, Reader, TOO_LONG};
use super::section::Section;
use crate::config::dns::RecordType;

/// The length of the header.
const HEADER_BYTES: usize = 12;
/// The bit of the flags that marks a truncated response.
const IS_TRUNCATED: u16 = 0x0200;

/// The response of a name server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The response code, with the high bits in the pseudo-record of EDNS (RFC 6891, section 6.1.3).
    pub rcode: u16,
    /// Whether the server left out records.
    pub is_truncated: bool,
    /// The serial number of the zone in the last SOA record of the answer section.
    pub soa_serial: Option<u32>,
    /// The texts of all records.
    text: Vec<u8>,
    /// The places of the records of each section in `text`.
    places: [Vec<Range<usize>>; Section::ALL.len()],
}

/// Why a response can't be used, and in which record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResponseError {
    /// The header or the question.
    #[error("{0}")]
    Head(Malformed),
    /// A record.
    #[error("record {number} of the {section} section{kind}: {fault}", section = .section.as_str())]
    Record {
        /// Its section.
        section: Section,
        /// Its position in the section, from 1.
        number: u16,
        /// Its type in parentheses, if it was read.
        kind: String,
        /// What is wrong.
        fault: Malformed,
    },
}

impl Response {
    /// Parses a response.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn parse(message: &[u8]) -> Result<Self, ResponseError> {
        let mut reader = Reader::new(message, 0);
        let (flags, counts) = Self::header(&mut reader).map_err(ResponseError::Head)?;
        let mut response = Self {
            rcode: flags & 0xf,
            is_truncated: flags & IS_TRUNCATED != 0,
            ..Self::default()
        };
        // Some servers refuse a query with a header only, whose counts are those of other responses.
        if message.len() == HEADER_BYTES {
            return Ok(response);
        }
        let [questions, counts @ ..] = counts;
        for _ in 0..questions {
            Self::skip_question(&mut reader).map_err(ResponseError::Head)?;
        }
        let mut has_edns = false;
        for (section, count) in Section::ALL.into_iter().zip(counts) {
            for number in 1..=count {
                let mut kind = None;
                let added = response.add_record(section, &mut reader, &mut kind, &mut has_edns);
                added.map_err(|fault| ResponseError::Record {
                    section,
                    number,
                    kind: kind.map(|kind| format!(" ({kind})")).unwrap_or_default(),
                    fault,
                })?;
            }
        }
        Ok(response)
    }

    /// Reads the flags, and how many questions and records the message has.
    fn header(reader: &mut Reader<'_>) -> Result<(u16, [u16; 4]), Malformed> {
        let mut header = reader.split(HEADER_BYTES)?;
        let _id = header.u16()?;
        let flags = header.u16()?;
        let counts = [header.u16()?, header.u16()?, header.u16()?, header.u16()?];
        Ok((flags, counts))
    }

    fn skip_question(reader: &mut Reader<'_>) -> Result<(), Malformed> {
        reader.require_next();
        reader.name(&mut Vec::new())?;
        reader.bytes(4).map(drop)
    }

    /// Reads a record and adds its text. `kind` becomes its type once that was read.
    fn add_record(
        &mut self,
        section: Section,
        reader: &mut Reader<'_>,
        kind: &mut Option<RecordType>,
        has_edns: &mut bool,
    ) -> Result<(), Malformed> {
        if reader.is_at_end() {
            return Err(Malformed("it is missing, but the header announces it"));
        }
        let mut owner = Vec::new();
        reader.name(&mut owner)?;
        let mut fixed = reader.split(10)?;
        let header = Header {
            owner: &owner,
            kind: RecordType(fixed.u16()?),
            class: fixed.u16()?,
            ttl: fixed.u32()?,
        };
        *kind = Some(header.kind);
        let length = usize::from(fixed.u16()?);
        let data = reader.split(length)?;
        if header.kind == RecordType::OPT && section == Section::Additional {
            if std::mem::replace(has_edns, true) {
                return Err(Malformed("it is the second one, but only one is allowed"));
            }
            self.rcode |= ((header.ttl >> 24) as u16) << 4;
        }
        if header.kind == RecordType::SOA && section == Section::Answer {
            self.soa_serial = Some(Self::serial(data)?);
        }
        let start = self.text.len();
        records::format(&header, data, &mut self.text)?;
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(TOO_LONG);
        }
        self.places[section as usize].push(start..self.text.len());
        Ok(())
    }

    /// Reads the serial number of a zone.
    fn serial(mut data: Reader<'_>) -> Result<u32, Malformed> {
        let names = &mut Vec::new();
        data.name(names)?;
        data.name(names)?;
        data.u32()
    }

    /// How many records a section has, with its pseudo-records.
    pub fn count(&self, section: Section) -> usize {
        self.places[section as usize].len()
    }

    /// The texts of the records of a section.
    pub fn texts(&self, section: Section) -> impl Iterator<Item = &[u8]> {
        let places = self.places[section as usize].iter();
        places.map(|place| &self.text[place.clone()])
    }

    /// The length of the texts of all records.
    pub const fn text_bytes(&self) -> usize {
        self.text.len()
    }
}
