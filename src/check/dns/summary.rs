//! The numbers of a response: its response code, its records by section, and the serial number of the zone.

use super::response::Response;
use super::section::Section;
use crate::config::dns::{DnsQuery, RecordType};

/// The numbers of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The response code.
    pub rcode: u16,
    /// How many records each section has.
    pub records: [usize; Section::ALL.len()],
    /// Whether the query is for SOA records.
    pub is_soa_query: bool,
    /// The serial number of the zone, if the query is for SOA records and one was received.
    pub serial: Option<u32>,
}

impl Summary {
    /// Summarizes the response to a query.
    pub fn new(response: &Response, query: &DnsQuery) -> Self {
        let is_soa_query = query.record_type == RecordType::SOA;
        Self {
            rcode: response.rcode,
            records: Section::ALL.map(|section| response.count(section)),
            is_soa_query,
            serial: response.soa_serial.filter(|_| is_soa_query),
        }
    }
}
