//! Formats a record as a line of text, exactly like blackbox_exporter (with miekg/dns). Expressions match this text.

mod edns;
mod fields;
mod header;
mod parameters;
mod reader;
mod special;
mod text;

use self::fields::Field::{self, *};
pub use self::header::Header;
pub use self::reader::{Malformed, Reader, TOO_LONG};
pub use self::text::MAX_TEXT_BYTES;
use self::text::{push, push_hex};
use crate::config::dns::RecordType;

/// Appends the text of a record: `example.org.<tab>300<tab>IN<tab>A<tab>192.0.2.1`.
///
/// # Errors
/// If the data does not have the format of its type.
pub fn format(header: &Header<'_>, mut data: Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let data = &mut data;
    if header.kind == RecordType::OPT {
        edns::format(header, data, text)?;
    } else if let Some(fields) = fields_of(header.kind) {
        push_header(text, header);
        fields::format(data, text, fields)?;
    } else {
        match header.kind.name() {
            // Comments, because these have no notation in zone files.
            Some("NULL") => {
                text.push(b';');
                push_header(text, header);
                text.extend(data.rest());
            }
            Some("TKEY") => {
                text.push(b';');
                push_header(text, header);
                special::key_exchange(data, text)?;
            }
            Some("TSIG") => {
                text.extend(b"\n;; TSIG PSEUDOSECTION:\n; ");
                push_header(text, header);
                special::signature(data, text)?;
            }
            Some("LOC") => {
                push_header(text, header);
                special::location(data, text)?;
            }
            Some("HIP") => {
                push_header(text, header);
                special::host_identity(data, text)?;
            }
            Some("IPSECKEY") => {
                push_header(text, header);
                special::ipsec_key(data, text)?;
            }
            Some("AMTRELAY") => {
                push_header(text, header);
                special::relay(data, text)?;
            }
            _ => unknown(header, data, text),
        }
    }
    match data.is_at_end() {
        true => Ok(()),
        false => Err(Malformed("its data is longer than its fields")),
    }
}

fn push_header(text: &mut Vec<u8>, header: &Header<'_>) {
    text.extend(header.owner);
    push(text, format_args!("\t{}\t", header.ttl));
    match header.class {
        1 => text.extend(b"IN"),
        2 => text.extend(b"CS"),
        3 => text.extend(b"CH"),
        4 => text.extend(b"HS"),
        254 => text.extend(b"NONE"),
        // Also ANY, which is the name of a type as well.
        class => push(text, format_args!("CLASS{class}")),
    }
    push(text, format_args!("\t{}\t", header.kind));
}

/// The notation for unknown types (RFC 3597, section 5).
fn unknown(header: &Header<'_>, data: &mut Reader<'_>, text: &mut Vec<u8>) {
    let (class, kind) = (header.class, header.kind.0);
    let data = data.rest();
    text.extend(header.owner);
    push(
        text,
        format_args!("\t{}\tCLASS{class}\tTYPE{kind}\t\\# {} ", header.ttl, data.len()),
    );
    push_hex(text, data);
}

/// The fields of a type, if they describe its text completely.
fn fields_of(kind: RecordType) -> Option<&'static [Field]> {
    Some(match kind.name()? {
        // These have no data.
        "ANY" | "NXNAME" => &[],
        "A" => &[Ipv4],
        "AAAA" => &[Ipv6],
        "NS" | "MD" | "MF" | "CNAME" | "MB" | "MG" | "MR" | "PTR" | "NSAP-PTR" | "DNAME" => &[Name],
        "MINFO" | "RP" | "TALINK" => &[Name, Name],
        "SOA" => &[Name, Name, U32, U32, U32, U32, U32],
        "MX" | "AFSDB" | "RT" | "KX" | "LP" => &[U16, Name],
        "PX" => &[U16, Name, Name],
        "SRV" => &[U16, U16, U16, Name],
        "NAPTR" => &[U16, U16, Quoted, Quoted, Quoted, Name],
        "TXT" | "SPF" | "AVC" | "NINFO" | "RESINFO" => &[QuotedList],
        "HINFO" | "ISDN" => &[Quoted, Quoted],
        "UINFO" => &[Quoted],
        "X25" => &[Plain],
        "GPOS" => &[Plain, Plain, Plain],
        "URI" => &[U16, U16, Octets],
        "CAA" => &[U8, Plain, Octets],
        "SVCB" | "HTTPS" => &[U16, Name, Parameters],
        "SIG" | "RRSIG" => &[Type, U8, U8, U32, Time, Time, U16, Name, Base64],
        "KEY" | "DNSKEY" | "CDNSKEY" | "RKEY" => &[U16, U8, U8, Base64],
        "DS" | "CDS" | "DLV" | "TA" => &[U16, U8, U8, UpperHex],
        "NSEC" | "NXT" => &[Name, TypeList],
        "NSEC3" => &[U8, U8, U16, Salt, Hash, TypeList],
        "NSEC3PARAM" => &[U8, U8, U16, Salt],
        "CSYNC" => &[U32, U16, TypeList],
        "ZONEMD" => &[U32, U8, U8, Hex],
        "CERT" => &[CertificateType, U16, Algorithm, Base64],
        "DHCID" | "OPENPGPKEY" => &[Base64],
        "SSHFP" => &[U8, U8, UpperHex],
        "TLSA" => &[U8, U8, U8, Hex],
        "SMIMEA" => &[U8, U8, U8, SplitHex],
        "EID" | "NIMLOC" => &[UpperHex],
        "UID" | "GID" => &[U32],
        "NID" => &[U16, NodeId],
        "L32" => &[U16, Ipv4],
        "L64" => &[U16, Locator],
        "EUI48" => &[Eui48],
        "EUI64" => &[Eui64],
        "APL" => &[Prefixes],
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
