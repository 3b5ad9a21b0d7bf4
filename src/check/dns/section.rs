//! The sections of a response (RFC 1035, section 4.1).

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
    /// In the order of a message and of the conditions of a query.
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
