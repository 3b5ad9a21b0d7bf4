//! The fields that the data of records consists of.

use std::net::Ipv6Addr;

use super::parameters;
use super::reader::{Malformed, Reader};
use super::text::{
    push, push_algorithm, push_base32, push_base64, push_hex, push_octets, push_plain, push_quoted,
    push_time, push_upper_hex,
};
use crate::config::dns::RecordType;

/// A field of the data of a record. Most have a space before them, except the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    U8,
    U16,
    U32,
    Name,
    Ipv4,
    Ipv6,
    /// A string.
    Plain,
    /// A string in quotes.
    Quoted,
    /// The rest: strings in quotes.
    QuotedList,
    /// The rest, in quotes.
    Octets,
    /// The rest.
    Base64,
    /// The rest.
    Hex,
    /// The rest.
    UpperHex,
    /// The rest, with a space after every 1024 digits.
    SplitHex,
    /// Hexadecimal digits, or `-` if it is empty.
    Salt,
    /// Base32.
    Hash,
    /// A type of records.
    Type,
    /// The rest: a bitmap of types, each with a space before it.
    TypeList,
    /// A time in seconds since 1970.
    Time,
    /// The type of a certificate.
    CertificateType,
    /// The algorithm of a key.
    Algorithm,
    NodeId,
    Locator,
    Eui48,
    Eui64,
    /// The rest: networks.
    Prefixes,
    /// The rest: parameters of a service, each with a space before it.
    Parameters,
}

/// Appends the text of all fields.
pub fn format(data: &mut Reader<'_>, text: &mut Vec<u8>, fields: &[Field]) -> Result<(), Malformed> {
    for (index, field) in fields.iter().enumerate() {
        let brings_spaces = matches!(field, Field::TypeList | Field::Parameters);
        let is_omitted = *field == Field::Ipv4 && data.is_missing();
        if index > 0 && !brings_spaces && !is_omitted {
            text.push(b' ');
        }
        append(*field, data, text)?;
    }
    Ok(())
}

fn append(field: Field, data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    match field {
        Field::U8 => push(text, format_args!("{}", data.u8()?)),
        Field::U16 => push(text, format_args!("{}", data.u16()?)),
        Field::U32 => push(text, format_args!("{}", data.u32()?)),
        Field::Name => data.name(text)?,
        Field::Ipv4 => {
            if !data.is_missing() {
                push(text, format_args!("{}", data.ipv4()?));
            }
        }
        Field::Ipv6 => {
            if !data.is_missing() {
                push(text, format_args!("{}", data.ipv6()?));
            }
        }
        Field::Plain => push_plain(text, data.string()?),
        Field::Quoted => push_quoted(text, data.string()?),
        Field::QuotedList => {
            let mut separator: &[u8] = b"";
            while !data.is_at_end() {
                text.extend(separator);
                push_quoted(text, data.string()?);
                separator = b" ";
            }
        }
        Field::Octets => push_octets(text, data.rest()),
        Field::Base64 => push_base64(text, data.rest()),
        Field::Hex => push_hex(text, data.rest()),
        Field::UpperHex => push_upper_hex(text, data.rest()),
        Field::SplitHex => split_hex(data.rest(), text),
        Field::Salt => {
            let length = data.u8()?;
            match data.sized(usize::from(length))? {
                [] => text.push(b'-'),
                salt => push_upper_hex(text, salt),
            }
        }
        Field::Hash => {
            let length = data.u8()?;
            push_base32(text, data.sized(usize::from(length))?);
        }
        Field::Type => push(text, format_args!("{}", RecordType(data.u16()?))),
        Field::TypeList => type_list(data, text)?,
        Field::Time => push_time(text, u64::from(data.u32()?)),
        Field::CertificateType => certificate_type(data.u16()?, text),
        Field::Algorithm => push_algorithm(text, data.u8()?),
        Field::NodeId => {
            let [a, b, c, d] = quarters(data.u64()?);
            push(text, format_args!("{a:04x}:{b:04x}:{c:04x}:{d:04x}"));
        }
        Field::Locator => {
            let [a, b, c, d] = quarters(data.u64()?);
            push(text, format_args!("{a:04X}:{b:04X}:{c:04X}:{d:04X}"));
        }
        Field::Eui48 => push_dashed(text, &data.u48()?.to_be_bytes()[2..]),
        Field::Eui64 => push_dashed(text, &data.u64()?.to_be_bytes()),
        Field::Prefixes => prefixes(data, text)?,
        Field::Parameters => parameters::format(data, text)?,
    }
    Ok(())
}

fn split_hex(bytes: &[u8], text: &mut Vec<u8>) {
    const CHUNK_BYTES: usize = 512;
    for (index, byte) in bytes.iter().enumerate() {
        push_hex(text, &[*byte]);
        // Also after the last one, as in blackbox_exporter.
        if (index + 1) % CHUNK_BYTES == 0 {
            text.push(b' ');
        }
    }
}

/// A bitmap of types (RFC 4034, section 4.1.2).
fn type_list(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut last_window = None;
    while !data.is_at_end() {
        let window = data.u8()?;
        let length = usize::from(*data.bytes(1)?.first().unwrap_or(&0));
        if last_window.is_some_and(|last| window <= last) || !(1..=32).contains(&length) {
            return Err(Malformed("its bitmap of types is not valid"));
        }
        last_window = Some(window);
        for (index, byte) in data.bytes(length)?.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte & 0x80 >> bit != 0) {
                let kind = usize::from(window) * 256 + index * 8 + bit;
                push(text, format_args!(" {}", RecordType(kind as u16)));
            }
        }
    }
    Ok(())
}

/// Networks with a prefix length, of which `!` negates one (RFC 3123).
fn prefixes(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    const INVALID: Malformed = Malformed("its list of networks is not valid");
    let mut separator: &[u8] = b"";
    while !data.is_at_end() {
        let head = data.bytes(4)?;
        let (family, prefix, length) = (&head[..2], head[2], usize::from(head[3] & 0x7f));
        let is_negated = head[3] & 0x80 != 0;
        let mut address = [0; 16];
        let size = match family {
            [0, 1] => 4,
            [0, 2] => 16,
            _ => return Err(INVALID),
        };
        if usize::from(prefix) > 8 * size || length > size {
            return Err(INVALID);
        }
        let bytes = data.bytes(length)?;
        // Zeros at the end are omitted (section 4.1).
        if bytes.last() == Some(&0) {
            return Err(INVALID);
        }
        address[..length].copy_from_slice(bytes);
        text.extend(separator);
        if is_negated {
            text.push(b'!');
        }
        match size {
            4 => {
                let [a, b, c, d, ..] = address;
                push(text, format_args!("1:{a}.{b}.{c}.{d}/{prefix}"));
            }
            _ => push(text, format_args!("2:{}/{prefix}", Ipv6Addr::from(address))),
        }
        separator = b" ";
    }
    Ok(())
}

/// RFC 4398, section 2.1.
fn certificate_type(code: u16, text: &mut Vec<u8>) {
    // IPKIX has this name in blackbox_exporter.
    const NAMES: [&str; 8] = [
        "PKIX", "SPKI", "PGP", "IPIX", "ISPKI", "IPGP", "ACPKIX", "IACPKIX",
    ];
    match code {
        1..=8 => text.extend(NAMES[usize::from(code) - 1].bytes()),
        253 => text.extend(b"URI"),
        254 => text.extend(b"OID"),
        code => push(text, format_args!("{code}")),
    }
}

fn quarters(number: u64) -> [u16; 4] {
    [48, 32, 16, 0].map(|shift| (number >> shift) as u16)
}

/// Appends bytes as `00-00-5e-00-53-2a`.
fn push_dashed(text: &mut Vec<u8>, bytes: &[u8]) {
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if index > 0 { "-" } else { "" };
        push(text, format_args!("{dash}{byte:02x}"));
    }
}
