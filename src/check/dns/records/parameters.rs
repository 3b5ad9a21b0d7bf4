//! The parameters of services in SVCB and HTTPS records (RFC 9460, section 2.2).

use super::reader::{Malformed, Reader};
use super::text::{push, push_base64, push_parameter_byte};

const INVALID: Malformed = Malformed("its parameters are not valid");
/// The key that is never valid (RFC 9460, section 14.3).
const INVALID_KEY: u16 = 65535;

/// The name of a key, if it has one.
const fn key_name(key: u16) -> Option<&'static str> {
    Some(match key {
        0 => "mandatory",
        1 => "alpn",
        2 => "no-default-alpn",
        3 => "port",
        4 => "ipv4hint",
        5 => "ech",
        6 => "ipv6hint",
        7 => "dohpath",
        8 => "ohttp",
        _ => return None,
    })
}

fn push_key(text: &mut Vec<u8>, key: u16) {
    match key_name(key) {
        Some(name) => text.extend(name.bytes()),
        None if key == INVALID_KEY => {}
        None => push(text, format_args!("key{key}")),
    }
}

/// Appends ` key="value"` for each parameter.
pub fn format(data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut last_key = None;
    while !data.is_at_end() {
        let key = data.u16()?;
        let length = data.bytes(2)?;
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        // Keys are in ascending order, each at most once.
        if key == INVALID_KEY || last_key.is_some_and(|last| key <= last) {
            return Err(INVALID);
        }
        last_key = Some(key);
        text.push(b' ');
        push_key(text, key);
        text.extend(b"=\"");
        value(key, &mut data.split(length)?, text)?;
        text.push(b'"');
    }
    Ok(())
}

fn value(key: u16, data: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    match key_name(key) {
        Some("mandatory") => list(data, text, |data, text| {
            let key = data.u16()?;
            push_key(text, key);
            Ok(())
        })?,
        Some("alpn") => list(data, text, |data, text| {
            data.string()?
                .iter()
                .for_each(|byte| push_protocol_byte(text, *byte));
            Ok(())
        })?,
        // These have no value.
        Some("no-default-alpn" | "ohttp") => {}
        Some("port") => {
            let port = data.bytes(2)?;
            push(
                text,
                format_args!("{}", u16::from(port[0]) << 8 | u16::from(port[1])),
            );
        }
        Some("ipv4hint" | "ipv6hint") if data.is_at_end() => return Err(INVALID),
        Some("ipv4hint") => list(data, text, |data, text| {
            push(text, format_args!("{}", data.ipv4()?));
            Ok(())
        })?,
        Some("ipv6hint") => list(data, text, |data, text| {
            let address = data.ipv6()?;
            if address.to_ipv4_mapped().is_some() {
                return Err(INVALID);
            }
            push(text, format_args!("{address}"));
            Ok(())
        })?,
        Some("ech") => push_base64(text, data.rest()),
        _ => data
            .rest()
            .iter()
            .for_each(|byte| push_parameter_byte(text, *byte)),
    }
    match data.is_at_end() {
        true => Ok(()),
        false => Err(INVALID),
    }
}

/// Appends the items with commas between them.
fn list(
    data: &mut Reader<'_>,
    text: &mut Vec<u8>,
    mut item: impl FnMut(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut separator: &[u8] = b"";
    while !data.is_at_end() {
        text.extend(separator);
        item(data, text)?;
        separator = b",";
    }
    Ok(())
}

/// Appends a byte of a protocol's name. A comma and a backslash are escaped twice (RFC 9460, appendix A.1).
fn push_protocol_byte(text: &mut Vec<u8>, byte: u8) {
    match byte {
        b',' => text.extend(br"\\\044"),
        b'\\' => text.extend(br"\\\092"),
        byte => push_parameter_byte(text, byte),
    }
}
