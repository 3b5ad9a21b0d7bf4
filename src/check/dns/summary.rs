//! The numbers of a response: its response code, its records by section, and the serial number of the zone.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};

use crate::config::dns::DnsQuery;

/// A section of a response that contains records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The records that answer the query.
    Answer,
    /// The name servers responsible for them.
    Authority,
    /// Additional records.
    Additional,
}

impl Section {
    /// In the order of a message and of [`DnsQuery::validators`].
    pub const ALL: [Self; 3] = [Self::Answer, Self::Authority, Self::Additional];

    /// The name in labels, messages and keys (`validate_NAME_rrs`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Additional => "additional",
        }
    }
}

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
    pub fn new(response: &Message, query: &DnsQuery) -> Self {
        let is_soa_query = query.record_type == RecordType::SOA;
        let mut records = response.answers.iter().rev().filter(|_| is_soa_query);
        let serial = records.find_map(|record| match &record.data {
            RData::SOA(zone) => Some(zone.serial),
            _ => None,
        });
        Self {
            rcode: response.metadata.response_code.into(),
            records: [
                response.answers.len(),
                response.authorities.len(),
                // Pseudo-records are in this section, so they count.
                response.additionals.len()
                    + usize::from(response.edns.is_some())
                    + usize::from(response.signature.is_some()),
            ],
            is_soa_query,
            serial,
        }
    }
}
