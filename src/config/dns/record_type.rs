//! The types of DNS records, with the names that blackbox_exporter (miekg/dns) knows.

use std::fmt;

/// A type of DNS records. Its text is its name, or `TYPE1234` (RFC 3597, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordType(pub u16);

/// The names, in the order of their codes.
const NAMES: [(u16, &str); 88] = [
    (0, "None"),
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (23, "NSAP-PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (39, "DNAME"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (128, "NXNAME"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (258, "AVC"),
    (260, "AMTRELAY"),
    (261, "RESINFO"),
    (32768, "TA"),
    (32769, "DLV"),
    (65535, "Reserved"),
];

impl RecordType {
    /// Any type.
    pub const ANY: Self = Self(255);
    /// The pseudo-record of EDNS.
    pub const OPT: Self = Self(41);
    /// The start of a zone.
    pub const SOA: Self = Self(6);

    /// The type with this name, in upper or lower case, or with the number in `TYPE1234`.
    pub fn parse(text: &str) -> Option<Self> {
        let known = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        if let Some((code, _)) = known {
            return Some(Self(*code));
        }
        let digits = text.get(..4).filter(|start| start.eq_ignore_ascii_case("TYPE"));
        let digits = digits.and_then(|_| text.get(4..))?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number).map(Self)
    }

    /// The name, if the type has one.
    pub fn name(self) -> Option<&'static str> {
        let index = NAMES.binary_search_by_key(&self.0, |(code, _)| *code).ok()?;
        Some(NAMES[index].1)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_its_type_in_any_case() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0), "the search needs an order");
        for (code, name) in NAMES {
            for text in [name.to_owned(), name.to_lowercase(), format!("TYPE{code}")] {
                assert_eq!(RecordType::parse(&text), Some(RecordType(code)), "{text}");
            }
            assert_eq!(RecordType(code).to_string(), name);
        }
        assert_eq!(RecordType::parse("type65280").unwrap().to_string(), "TYPE65280");
        for wrong in ["", "TYPE", "TYPE+1", "TYPE65536", "NONSENSE", "TYP\u{c9}1", "A "] {
            assert_eq!(RecordType::parse(wrong), None, "{wrong}");
        }
    }
}
